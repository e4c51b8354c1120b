#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// The one form of this library's error messages: "field = value: what it must be".
namespace evenkeel::routing {

template <typename Value>
absl::Status InvalidField(absl::string_view field, Value value, absl::string_view must) {
  return absl::InvalidArgumentError(absl::StrCat(field, " = ", value, ": ", must));
}

// OK when `value` is between the enum's first value, 0, and its last.
template <typename Enum>
absl::Status ValidateEnum(absl::string_view field, Enum value, Enum last) {
  const int number = static_cast<int>(value);
  if (number >= 0 && number <= static_cast<int>(last)) return absl::OkStatus();
  return InvalidField(field, number, "is no value of the enum");
}

}  // namespace evenkeel::routing
