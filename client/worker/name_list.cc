#include "client/worker/name_list.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::client {
namespace {

constexpr size_t kLongestNumber = 9;

// A name around its first number; without one, all of it is `before`.
struct Parts {
  absl::string_view before;
  uint32_t number = 0;
  absl::string_view after;
  bool has_number = false;
};

Parts Split(absl::string_view name) {
  const auto begin = std::find_if(name.begin(), name.end(), absl::ascii_isdigit);
  const auto end = std::find_if_not(begin, name.end(), absl::ascii_isdigit);
  const absl::string_view digits(begin, end - begin);
  // Numbers that are written in another way than people write them stay what they are.
  const bool usual = !digits.empty() && digits.size() <= kLongestNumber && (digits == "0" || digits[0] != '0');
  Parts parts;
  parts.before = name;
  if (!usual || !absl::SimpleAtoi(digits, &parts.number)) return parts;
  parts.before = absl::string_view(name.begin(), begin - name.begin());
  parts.after = absl::string_view(end, name.end() - end);
  parts.has_number = true;
  return parts;
}

// "3-5,7".
std::string Ranges(const std::set<uint32_t>& numbers) {
  std::vector<std::string> ranges;
  for (auto first = numbers.begin(); first != numbers.end();) {
    auto last = first;
    for (auto next = std::next(last); next != numbers.end() && *next == *last + 1; ++next) last = next;
    ranges.push_back(first == last ? absl::StrCat(*first) : absl::StrCat(*first, "-", *last));
    first = std::next(last);
  }
  return absl::StrJoin(ranges, ",");
}

}  // namespace

std::string NameList(const std::vector<absl::string_view>& names) {
  std::vector<std::pair<Parts, std::set<uint32_t>>> groups;
  for (const absl::string_view name : names) {
    const Parts parts = Split(name);
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return parts.has_number && group.first.has_number && group.first.before == parts.before &&
             group.first.after == parts.after;
    });
    if (same == groups.end()) {
      groups.push_back({parts, {parts.number}});
    } else {
      same->second.insert(parts.number);
    }
  }
  return absl::StrJoin(groups, ", ", [](std::string* list, const auto& group) {
    const auto& [parts, numbers] = group;
    absl::StrAppend(list, parts.before);
    if (!parts.has_number) return;
    absl::StrAppend(list, numbers.size() == 1 ? absl::StrCat(parts.number) : absl::StrCat("[", Ranges(numbers), "]"),
                    parts.after);
  });
}

}  // namespace evenkeel::client
