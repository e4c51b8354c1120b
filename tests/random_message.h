#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

// Structured messages from a fuzzer's bytes: valid ones, changed here and there.
namespace evenkeel::tests {

// The decisions that bytes make, one after the other; when they are used up, all are 0. `bytes` outlives it.
class Choices {
 public:
  explicit Choices(absl::string_view bytes) : bytes_(bytes) {}

  bool AtEnd() const { return bytes_.empty(); }
  // From 0 to n - 1, n from 1 to 65,536.
  uint64_t Below(uint64_t n);
  // Any 64 bits; small numbers, and those near the ends of ranges, more often than others.
  uint64_t Number();
  // Up to `size` bytes of ASCII.
  std::string Text(size_t size);

 private:
  uint64_t Next(int bytes);

  absl::string_view bytes_;
};

// Changes one field of `message`, at any depth: to another value, to none, or an element more or less.
void Mutate(Choices* choices, google::protobuf::Message* message);

}  // namespace evenkeel::tests
