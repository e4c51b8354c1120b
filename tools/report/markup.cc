#include "tools/report/markup.h"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace evenkeel::tools {
namespace {

// Bytes of the UTF-8 character that `text` begins with; 0 where there is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80 ? 1 : byte(0) < 0xc2 ? 0 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
  if (length == 0 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

std::string EscapedCharacter(absl::string_view character) {
  switch (character[0]) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return absl::ascii_iscntrl(static_cast<unsigned char>(character[0])) ? "?" : std::string(character);
  }
}

}  // namespace

std::string Escaped(absl::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    escaped += length == 0 ? "?" : EscapedCharacter(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return escaped;
}

std::string ShortNumber(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  if (size != 0 && size < 5e-4) return absl::StrFormat("%.1e", value);
  return absl::StrFormat(size < 10 ? "%.3f" : size < 100 ? "%.2f" : "%.1f", value);
}

std::string Grouped(uint64_t value) {
  std::string digits = absl::StrCat(value);
  for (size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, "\xe2\x80\xaf");
  return digits;
}

}  // namespace evenkeel::tools
