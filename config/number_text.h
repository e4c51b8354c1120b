#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// Numbers as JSON writes them (RFC 8259, section 6), and nothing else: no hexadecimal or octal, no underscores, no
// plus sign, no bare point. Errors are INVALID_ARGUMENT with the end of a sentence that the value begins, such as
// "is not an integer"; `value` is then unchanged. Pure, thread-safe.
namespace evenkeel::config {

bool IsNumber(absl::string_view text);

// Any number with an integral value is an integer: 1000, 1e3 and 1000.0. Exact over the whole range.
absl::Status ParseInteger(absl::string_view text, int32_t* value);
absl::Status ParseInteger(absl::string_view text, int64_t* value);
absl::Status ParseInteger(absl::string_view text, uint32_t* value);
absl::Status ParseInteger(absl::string_view text, uint64_t* value);

// Rounded once, to nearest. Refused: NaN and infinity in every spelling, and what over- or underflows.
absl::Status ParseFloat(absl::string_view text, float* value);
absl::Status ParseFloat(absl::string_view text, double* value);

}  // namespace evenkeel::config
