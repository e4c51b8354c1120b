#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "google/protobuf/generated_enum_reflection.h"

namespace evenkeel::config {

// One value of an enum as the wire has it and as the kernels have it. A table of all pairs translates both ways.
template <typename Wire, typename Kernel>
struct EnumPair {
  Wire wire;
  Kernel kernel;
};

// The value's word, or its number where the enum does not know it.
template <typename Wire>
std::string EnumWord(Wire value) {
  const auto* known = google::protobuf::GetEnumDescriptor<Wire>()->FindValueByNumber(value);
  return known != nullptr ? known->name() : absl::StrCat(static_cast<int>(value));
}

// Sets `kernel` to what `value` stands for. INVALID_ARGUMENT, naming field, value and the words there are, for a value
// that is not in the table (which has no UNSPECIFIED); `kernel` is then unchanged.
template <typename Wire, typename Kernel, size_t size>
absl::Status FromWire(const EnumPair<Wire, Kernel> (&pairs)[size], absl::string_view field, Wire value,
                      Kernel* kernel) {
  std::vector<std::string> words;
  for (const EnumPair<Wire, Kernel>& pair : pairs) {
    if (pair.wire == value) {
      *kernel = pair.kernel;
      return absl::OkStatus();
    }
    words.push_back(EnumWord(pair.wire));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", EnumWord(value), " is none of ", absl::StrJoin(words, ", ")));
}

// The inverse. A value that the enum has not aborts.
template <typename Wire, typename Kernel, size_t size>
Wire ToWire(const EnumPair<Wire, Kernel> (&pairs)[size], Kernel value) {
  size_t i = 0;
  while (i < size && pairs[i].kernel != value) ++i;
  EVENKEEL_CHECK(i < size);
  return pairs[i].wire;
}

}  // namespace evenkeel::config
