#include "tools/report/run_picture.h"

#include <algorithm>
#include <numeric>

namespace evenkeel::tools {

std::vector<int> WorstRows(const v1::DescribeJobResponse& description) {
  std::vector<int> rows(static_cast<size_t>(description.layers_size()));
  std::iota(rows.begin(), rows.end(), 0);
  std::stable_sort(rows.begin(), rows.end(), [&](int a, int b) {
    return description.layers(a).max_violation() > description.layers(b).max_violation();
  });
  rows.resize(std::min<size_t>(rows.size(), kShownBiases));
  return rows;
}

}  // namespace evenkeel::tools
