#include "config/utf8.h"

#include <cstddef>
#include <cstdint>

namespace evenkeel::config {
namespace {

struct Form {
  size_t bytes;
  uint32_t bits;      // of the code point, in the first byte
  uint32_t smallest;  // code point that needs this many bytes
};

// Of the character that begins with `first`; 0 bytes where none does.
Form FormOf(uint8_t first) {
  if (first < 0x80) return {1, first, 0};
  if (first >> 5 == 0x6) return {2, first & 0x1fu, 0x80};
  if (first >> 4 == 0xe) return {3, first & 0xfu, 0x800};
  if (first >> 3 == 0x1e) return {4, first & 0x7u, 0x10000};
  return {0, 0, 0};
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Form form = FormOf(static_cast<uint8_t>(text[i]));
    if (form.bytes == 0 || form.bytes > text.size() - i) return false;
    uint32_t code_point = form.bits;
    for (size_t k = 1; k < form.bytes; ++k) {
      const auto byte = static_cast<uint8_t>(text[i + k]);
      if (byte >> 6 != 0x2) return false;
      code_point = code_point << 6 | (byte & 0x3fu);
    }
    const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < form.smallest || is_surrogate || code_point > 0x10ffff) return false;
    i += form.bytes;
  }
  return true;
}

}  // namespace evenkeel::config
