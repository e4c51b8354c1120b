#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

// Structs that begin with their size, `struct_size`, as who fills them in knows it: an older program's end earlier, a
// newer one's later than this library's.
namespace evenkeel::client {

// What an _init function does: `defaults` as far as they fit, zero behind them. Null is ignored.
template <typename Struct>
void InitStruct(const Struct& defaults, Struct* target, size_t struct_size) {
  if (target == nullptr) return;
  std::memset(static_cast<void*>(target), 0, struct_size);
  std::memcpy(static_cast<void*>(target), &defaults, std::min(struct_size, sizeof(Struct)));
  if (struct_size >= sizeof(size_t)) target->struct_size = struct_size;
}

// INVALID_ARGUMENT, naming `what`: a null pointer, or a size that was never set.
template <typename Struct>
absl::Status CheckStruct(const char* what, const Struct* given) {
  if (given == nullptr) return absl::InvalidArgumentError(absl::StrCat(what, " is null"));
  if (given->struct_size > sizeof(size_t)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ".struct_size is ", given->struct_size, "; begin with ", what, "_init"));
}

// The program's struct as this library has it: `defaults` for what an older program does not know. INVALID_ARGUMENT as
// CheckStruct, and where a newer program has set something that this library does not know.
template <typename Struct>
absl::Status ReadStruct(const char* what, const Struct& defaults, const Struct* given, Struct* known) {
  absl::Status status = CheckStruct(what, given);
  if (!status.ok()) return status;
  const char* bytes = reinterpret_cast<const char*>(given);
  const bool newer =
      given->struct_size > sizeof(Struct) &&
      std::any_of(bytes + sizeof(Struct), bytes + given->struct_size, [](char byte) { return byte != 0; });
  if (newer) {
    return absl::InvalidArgumentError(absl::StrCat(what, " has a field set that this libevenkeel does not know (",
                                                   given->struct_size, " bytes, ", sizeof(Struct),
                                                   " known); install the newer library"));
  }
  *known = defaults;
  std::memcpy(static_cast<void*>(known), given, std::min(given->struct_size, sizeof(Struct)));
  return absl::OkStatus();
}

// Writes what an older program has room for; a newer one's fields behind that become zero. CheckStruct comes first.
template <typename Struct>
void WriteStruct(const Struct& known, Struct* target) {
  const size_t struct_size = target->struct_size;
  InitStruct(known, target, struct_size);
}

}  // namespace evenkeel::client
