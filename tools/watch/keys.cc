#include "tools/watch/keys.h"

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace evenkeel::tools {
namespace {

std::optional<Key> KeyOf(char letter) {
  switch (letter) {
    case 'q':
    case 'Q':
      return Key::kQuit;
    case 'k':
      return Key::kUp;
    case 'j':
      return Key::kDown;
    case '\t':
      return Key::kNextJob;
    default:
      return std::nullopt;
  }
}

// The last letter of an escape sequence.
std::optional<Key> KeyOfSequence(char letter) {
  switch (letter) {
    case 'A':
      return Key::kUp;
    case 'B':
      return Key::kDown;
    case 'C':
      return Key::kNextJob;
    case 'D':
    case 'Z':
      return Key::kPreviousJob;
    default:
      return std::nullopt;
  }
}

// Bytes of the escape sequence that `bytes` begin with; 0 where it has not ended.
size_t SequenceLength(absl::string_view bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] == 'O') return bytes.size() < 3 ? 0 : 3;
  if (bytes[1] != '[') return 1;
  for (size_t i = 2; i < bytes.size(); ++i) {
    if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
  }
  return 0;
}

}  // namespace

std::vector<Key> TakeKeys(std::string* bytes) {
  std::vector<Key> keys;
  size_t taken = 0;
  while (taken < bytes->size()) {
    const absl::string_view rest = absl::string_view(*bytes).substr(taken);
    size_t length = 1;
    std::optional<Key> key;
    if (rest[0] == '\x1b') {
      length = SequenceLength(rest);
      if (length == 0) break;
      if (length > 1) key = KeyOfSequence(rest[length - 1]);
    } else {
      key = KeyOf(rest[0]);
    }
    if (key.has_value()) keys.push_back(*key);
    taken += length;
  }
  bytes->erase(0, taken);
  return keys;
}

}  // namespace evenkeel::tools
