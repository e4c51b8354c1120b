#include "server/history/violation_timeline.h"

#include <algorithm>

#include "base/check.h"

namespace evenkeel::history {
namespace {

constexpr size_t kMostSamples = 256;
constexpr size_t kFewestSamples = 16;
constexpr size_t kMostValues = 1 << 20;

// Even, for samples are merged in pairs.
size_t CapacityFor(size_t rows) {
  return std::clamp(kMostValues / std::max<size_t>(rows, 1) / 2 * 2, kFewestSamples, kMostSamples);
}

}  // namespace

ViolationTimeline::ViolationTimeline(int rows)
    : rows_(rows), capacity_(CapacityFor(rows_)), open_max_(rows_), open_sum_(rows_) {
  steps_.reserve(capacity_);
  max_.reserve(capacity_ * rows_);
  avg_.reserve(capacity_ * rows_);
}

void ViolationTimeline::Add(uint64_t step, absl::Span<const float> max, absl::Span<const float> avg) {
  EVENKEEL_CHECK(max.size() == rows_ && avg.size() == rows_);
  const bool first = open_steps_ == 0;
  for (size_t row = 0; row < rows_; ++row) {
    open_max_[row] = first ? max[row] : std::max(open_max_[row], max[row]);
    open_sum_[row] = first ? avg[row] : open_sum_[row] + avg[row];
  }
  newest_ = step;
  if (++open_steps_ < stride_) return;
  Append(step);
  open_steps_ = 0;
  if (steps_.size() == capacity_) MergePairs();
}

void ViolationTimeline::Append(uint64_t step) {
  steps_.push_back(step);
  for (size_t row = 0; row < rows_; ++row) {
    max_.push_back(open_max_[row]);
    avg_.push_back(static_cast<float>(open_sum_[row] / static_cast<double>(open_steps_)));
  }
}

void ViolationTimeline::MergePairs() {
  const size_t pairs = steps_.size() / 2;
  for (size_t pair = 0; pair < pairs; ++pair) {
    steps_[pair] = steps_[2 * pair + 1];
    for (size_t row = 0; row < rows_; ++row) {
      const size_t first = 2 * pair * rows_ + row;
      const size_t second = first + rows_;
      max_[pair * rows_ + row] = std::max(max_[first], max_[second]);
      avg_[pair * rows_ + row] = (avg_[first] + avg_[second]) / 2;
    }
  }
  steps_.resize(pairs);
  max_.resize(pairs * rows_);
  avg_.resize(pairs * rows_);
  stride_ *= 2;
}

void ViolationTimeline::Describe(v1::GetHistoryResponse* response) const {
  response->set_stride(stride_);
  *response->mutable_steps() = {steps_.begin(), steps_.end()};
  *response->mutable_max_violation() = {max_.begin(), max_.end()};
  *response->mutable_avg_violation() = {avg_.begin(), avg_.end()};
  if (open_steps_ == 0) return;
  response->add_steps(newest_);
  for (size_t row = 0; row < rows_; ++row) {
    response->add_max_violation(open_max_[row]);
    response->add_avg_violation(static_cast<float>(open_sum_[row] / static_cast<double>(open_steps_)));
  }
}

}  // namespace evenkeel::history
