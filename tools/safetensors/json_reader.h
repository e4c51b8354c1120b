#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::tools {

// JSON (RFC 8259) read from left to right, as far as headers of .safetensors files have it: the caller says what comes
// next. Errors are INVALID_ARGUMENT and name the byte. Time and memory are linear in the text, which must outlive it.
class JsonReader {
 public:
  explicit JsonReader(absl::string_view text) : text_(text), rest_(text) {}

  // Whether `c` is next, white space apart; if so, it is taken.
  bool Take(char c);

  // As Take, with an error for what is there instead.
  absl::Status Expect(char c);
  absl::Status ExpectEnd();

  // A string, unescaped; UTF-8.
  absl::StatusOr<std::string> String();

  // An integer of at most 63 bits, written with digits alone.
  absl::StatusOr<int64_t> Integer();

 private:
  absl::Status Unexpected(absl::string_view wanted) const;
  absl::Status TakeEscape(std::string* out);
  absl::StatusOr<uint32_t> TakeHex4();

  const absl::string_view text_;
  absl::string_view rest_;
};

}  // namespace evenkeel::tools
