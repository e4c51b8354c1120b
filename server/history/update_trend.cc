#include "server/history/update_trend.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace evenkeel::history {

UpdateTrend::UpdateTrend(int rows, std::vector<float> bias)
    : rows_(rows), bias_(std::move(bias)), directions_(bias_.size()) {}

void UpdateTrend::Update(int row, int offset, absl::Span<const float> bias) {
  EVENKEEL_CHECK(offset + bias.size() <= bias_.size());
  float* const before = bias_.data() + offset;
  int8_t* const directions = directions_.data() + offset;
  float largest = 0;
  int moved_twice = 0;
  int flipped = 0;
  for (size_t i = 0; i < bias.size(); ++i) {
    const float delta = bias[i] - before[i];
    const int direction = (delta > 0) - (delta < 0);
    const int turn = direction * directions[i];
    largest = std::max(largest, std::abs(delta));
    moved_twice += turn != 0;
    flipped += turn < 0;
    directions[i] = static_cast<int8_t>(direction);
    before[i] = bias[i];
  }
  rows_[row].largest_update = largest;
  rows_[row].sign_flip_ratio = moved_twice == 0 ? 0 : static_cast<double>(flipped) / moved_twice;
}

}  // namespace evenkeel::history
