#include "tools/report/run_timeline.h"

#include <algorithm>
#include <utility>

namespace evenkeel::tools {

// Even, so that all have another to merge with.
size_t RunTimeline::CapacityOf(const Step& step) {
  constexpr size_t kMost = 256;
  constexpr size_t kLeast = 16;
  constexpr size_t kValues = size_t{1} << 24;
  const size_t values = step.bias.size() + step.max_violation.size() + step.avg_violation.size();
  return std::clamp(kValues / std::max<size_t>(values, 1), kLeast, kMost) / 2 * 2;
}

void RunTimeline::Merge(const Sample& later, Sample* sample) {
  const auto& from = later.newest;
  Step& into = sample->newest;
  for (size_t i = 0; i < into.max_violation.size(); ++i) {
    into.max_violation[i] = std::max(into.max_violation[i], from.max_violation[i]);
    into.avg_violation[i] += from.avg_violation[i];
  }
  into.step = from.step;
  into.bias = from.bias;
  sample->steps += later.steps;
}

void RunTimeline::Add(const Step& step) {
  while (!samples_.empty() && samples_.back().newest.step >= step.step) samples_.pop_back();
  Sample sample = {step, 1};
  if (!samples_.empty() && samples_.back().steps < stride_) {
    Merge(sample, &samples_.back());
    return;
  }
  if (samples_.size() >= CapacityOf(step)) MergePairs();
  samples_.push_back(std::move(sample));
}

void RunTimeline::MergePairs() {
  const size_t pairs = samples_.size() / 2;
  for (size_t i = 0; i < pairs; ++i) {
    if (i > 0) samples_[i] = std::move(samples_[2 * i]);
    Merge(samples_[2 * i + 1], &samples_[i]);
  }
  samples_.resize(pairs);
  stride_ *= 2;
}

void RunTimeline::Describe(v1::GetHistoryResponse* history) const {
  history->set_stride(stride_);
  for (const Sample& sample : samples_) {
    history->add_steps(sample.newest.step);
    for (const float value : sample.newest.max_violation) history->add_max_violation(value);
    for (const float value : sample.newest.avg_violation) {
      history->add_avg_violation(value / static_cast<float>(sample.steps));
    }
  }
}

void RunTimeline::DescribeBias(size_t offset, size_t count, v1::GetHistoryResponse* history) const {
  for (const Sample& sample : samples_) {
    history->add_bias_steps(sample.newest.step);
    for (size_t i = offset; i < offset + count; ++i) history->add_bias(sample.newest.bias[i]);
  }
}

}  // namespace evenkeel::tools
