#include "server/history/bias_timeline.h"

#include <algorithm>

#include "base/check.h"

namespace evenkeel::history {
namespace {

constexpr size_t kMostSamples = 64;
constexpr size_t kFewestSamples = 8;
constexpr size_t kMostValues = 1 << 22;

// Even, for of two samples one is given up.
size_t CapacityFor(size_t experts) {
  return std::clamp(kMostValues / std::max<size_t>(experts, 1) / 2 * 2, kFewestSamples, kMostSamples);
}

}  // namespace

BiasTimeline::BiasTimeline(int experts) : experts_(experts), capacity_(CapacityFor(experts_)) {
  steps_.reserve(capacity_);
  bias_.reserve(capacity_ * experts_);
}

void BiasTimeline::Add(uint64_t step, absl::Span<const float> bias) {
  EVENKEEL_CHECK(bias.size() == experts_);
  newest_ = step;
  if (++open_steps_ < stride_) return;
  open_steps_ = 0;
  steps_.push_back(step);
  bias_.insert(bias_.end(), bias.begin(), bias.end());
  if (steps_.size() == capacity_) Thin();
}

void BiasTimeline::Thin() {
  const size_t pairs = steps_.size() / 2;
  for (size_t pair = 0; pair < pairs; ++pair) {
    steps_[pair] = steps_[2 * pair + 1];
    const auto second = bias_.begin() + static_cast<ptrdiff_t>((2 * pair + 1) * experts_);
    std::copy_n(second, experts_, bias_.begin() + static_cast<ptrdiff_t>(pair * experts_));
  }
  steps_.resize(pairs);
  bias_.resize(pairs * experts_);
  stride_ *= 2;
}

void BiasTimeline::Describe(int offset, int count, absl::Span<const float> newest,
                            v1::GetHistoryResponse* response) const {
  *response->mutable_bias_steps() = {steps_.begin(), steps_.end()};
  const auto add = [&](const float* sample) {
    response->mutable_bias()->Add(sample + offset, sample + offset + count);
  };
  for (size_t i = 0; i < steps_.size(); ++i) add(bias_.data() + i * experts_);
  if (open_steps_ == 0) return;
  response->add_bias_steps(newest_);
  add(newest.data());
}

}  // namespace evenkeel::history
