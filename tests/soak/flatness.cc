#include "tests/soak/flatness.h"

#include <algorithm>

namespace evenkeel::soak {

double Series::most() const { return values_.empty() ? 0 : *std::max_element(values_.begin(), values_.end()); }

double Series::MedianOf(size_t first_tenth, size_t end_tenth) const {
  if (values_.empty()) return 0;
  const size_t first = values_.size() * first_tenth / 10;
  const size_t end = std::max(first + 1, values_.size() * end_tenth / 10);
  std::vector<double> values(values_.begin() + first, values_.begin() + end);
  const auto middle = values.begin() + (values.size() - 1) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace evenkeel::soak
