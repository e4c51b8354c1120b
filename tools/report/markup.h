#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Pieces of a report's text. Pure functions.
namespace evenkeel::tools {

// As text of HTML, or in an attribute's double quotes: what means something there, and what does not print, is escaped.
// Bytes that are not UTF-8 become "?".
std::string Escaped(absl::string_view text);

// Short, and exact to three digits: "0.125", "12.5", "1.2e-05".
std::string ShortNumber(double value);

// With a thin space between thousands: "15 616".
std::string Grouped(uint64_t value);

}  // namespace evenkeel::tools
