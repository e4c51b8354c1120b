#include "tools/number_list.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::tools {

std::string NumberRanges(const std::vector<int>& numbers) {
  std::vector<std::string> ranges;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    ranges.push_back(first == last ? absl::StrCat(numbers[first]) : absl::StrCat(numbers[first], "-", numbers[last]));
    first = last + 1;
  }
  return absl::StrJoin(ranges, ",");
}

std::string FirstOf(const std::vector<std::string>& items, size_t most) {
  const size_t shown = std::min(most, items.size());
  const std::string text = absl::StrJoin(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  return shown == items.size() ? text : absl::StrCat(text, " and ", items.size() - shown, " more");
}

}  // namespace evenkeel::tools
