#include "kernels/balance/cuda/flat_job.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/reference_update.h"
#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

template <typename T>
void Append(const std::vector<T>& more, std::vector<T>* all) {
  all->insert(all->end(), more.begin(), more.end());
}

}  // namespace

FlatUpdate FlatBuffers::Update() {
  return {static_cast<int>(layers.size()),
          layers.data(),
          &step,
          rates.data(),
          counts.data(),
          tokens.data(),
          bias.data(),
          ema.data(),
          pending.data(),
          scalars.data(),
          refused.data()};
}

FlatJob::FlatJob(uint64_t seed, const std::vector<int>& sizes, bool apply_skipped)
    : random_(seed), apply_skipped_(apply_skipped) {
  int64_t all = 0;
  for (const int size : sizes) all += size;
  buffers_.targets.resize(all);
  int64_t first = 0;
  for (const int size : sizes) {
    const BalanceConfig& config = configs_.emplace_back(RandomConfig(random_, size));
    const LayerState& state = want_.emplace_back(RandomState(random_, size));
    LayerRule rule = MakeLayerRule(config, size);
    std::copy(config.target.begin(), config.target.end(), buffers_.targets.begin() + first);
    if (rule.target != nullptr) rule.target = buffers_.targets.data() + first;
    buffers_.layers.push_back({first, rule});
    Append(state.bias, &buffers_.bias);
    Append(state.ema, &buffers_.ema);
    Append(state.counts, &buffers_.pending);
    buffers_.scalars.push_back(state);
    first += size;
  }
  buffers_.rates.resize(sizes.size());
  buffers_.tokens.resize(sizes.size());
  buffers_.counts.resize(all);
  buffers_.refused.resize(sizes.size());
}

void FlatJob::DrawStep(Mode mode) {
  skips_ = random_.OneIn(8) ? 1 + random_.Below(8) : 0;
  replays_ = random_.OneIn(8) ? 1 + random_.Below(8) : 0;
  const bool applies = skips_ == 0 || apply_skipped_;
  const bool ok = applies && replays_ == 0;
  const UpdateReason why_not = applies ? UpdateReason::kReplayed : UpdateReason::kSkipped;
  const StepInfo info = {++step_, position_ + 1, mode};
  if (skips_ == 0) ++position_;
  buffers_.step = {info, ok, why_not};
  buffers_.counts.clear();
  for (size_t i = 0; i < configs_.size(); ++i) {
    const std::vector<uint64_t> counts = RandomCounts(random_, static_cast<int>(want_[i].bias.size()));
    Append(counts, &buffers_.counts);
    buffers_.tokens[i] = RandomTokens(random_);
    buffers_.rates[i] = static_cast<float>(RateAt(configs_[i], info.position));
    if (ok) {
      ReferenceUpdate(configs_[i], info, counts, buffers_.tokens[i], &want_[i]);
    } else {
      RecordUnmoved(step_, why_not, &want_[i]);
    }
    ++seen_[want_[i].last_reason];
  }
}

LayerState FlatJob::FlatState(int layer) const {
  LayerState state;
  static_cast<LayerScalars&>(state) = buffers_.scalars[layer];
  const auto part = [&](const auto& all) {
    const auto begin = all.begin() + buffers_.layers[layer].first_expert;
    return std::decay_t<decltype(all)>(begin, begin + buffers_.layers[layer].rule.num_experts);
  };
  state.bias = part(buffers_.bias);
  state.ema = part(buffers_.ema);
  state.counts = part(buffers_.pending);
  return state;
}

void FlatJob::ExpectSame() const {
  for (size_t i = 0; i < want_.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "step " << step_ << ", layer " << i << " of " << want_[i].bias.size());
    ExpectSameState(FlatState(static_cast<int>(i)), want_[i]);
    EXPECT_EQ(buffers_.refused[i], 0);
  }
}

}  // namespace evenkeel::balance
