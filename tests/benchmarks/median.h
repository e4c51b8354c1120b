#pragma once

#include <algorithm>
#include <vector>

namespace evenkeel::benchmarks {

// The mean of the two in the middle where there are two. `values` must not be empty.
inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

}  // namespace evenkeel::benchmarks
