#include "tools/layer_names.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace evenkeel::tools {
namespace {

absl::string_view TakeNumber(absl::string_view* text) {
  size_t end = 0;
  while (end < text->size() && absl::ascii_isdigit((*text)[end])) ++end;
  absl::string_view number = text->substr(0, end);
  text->remove_prefix(end);
  while (number.size() > 1 && number[0] == '0') number.remove_prefix(1);
  return number;
}

}  // namespace

bool NaturalLess(absl::string_view a, absl::string_view b) {
  const absl::string_view whole_a = a;
  const absl::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (absl::ascii_isdigit(a[0]) && absl::ascii_isdigit(b[0])) {
      const absl::string_view number_a = TakeNumber(&a);
      const absl::string_view number_b = TakeNumber(&b);
      if (number_a.size() != number_b.size()) return number_a.size() < number_b.size();
      if (number_a != number_b) return number_a < number_b;
      continue;
    }
    if (a[0] != b[0]) return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.empty() != b.empty()) return a.empty();
  // Of "01" and "1" the bytes decide.
  return whole_a < whole_b;
}

std::vector<std::string> ShortNames(const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> parts;
  for (const std::string& name : names) parts.push_back(absl::StrSplit(name, '.'));
  if (parts.size() < 2) return names;
  size_t least = parts[0].size();
  for (const auto& name : parts) least = std::min(least, name.size());
  const auto all_have = [&](const auto& part_of) {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const auto& name) { return part_of(name) == part_of(parts[0]); });
  };
  size_t front = 0;
  while (front < least && all_have([&](const auto& name) { return name[front]; })) ++front;
  size_t back = 0;
  while (front + back < least && all_have([&](const auto& name) { return name[name.size() - 1 - back]; })) ++back;
  if (front + back >= least) return names;
  std::vector<std::string> result;
  for (const auto& name : parts) {
    result.push_back(absl::StrJoin(name.begin() + static_cast<std::ptrdiff_t>(front),
                                   name.end() - static_cast<std::ptrdiff_t>(back), "."));
  }
  return result;
}

}  // namespace evenkeel::tools
