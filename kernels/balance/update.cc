#include "kernels/balance/update.h"

#include <algorithm>

#include "kernels/balance/check.h"
#include "kernels/balance/rule.h"
#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

void CheckSizes(const BalanceConfig& config, size_t num_experts, const LayerState& state) {
  Check(num_experts >= 1 && num_experts <= kMaxExperts, "there are 1 to 16384 counts");
  Check(state.bias.size() == num_experts && state.ema.size() == num_experts && state.counts.size() == num_experts,
        "counts have the size of the state");
  Check(config.target.empty() || config.target.size() == num_experts, "counts have the size of the target");
}

// `sum` plus `more`, within kMaxCountSum.
uint64_t CheckedAdd(uint64_t sum, uint64_t more) {
  Check(more <= kMaxCountSum && sum <= kMaxCountSum - more, "counts and tokens add up to at most 2^48");
  return sum + more;
}

uint64_t CheckedSum(absl::Span<const uint64_t> counts) {
  uint64_t sum = 0;
  for (const uint64_t count : counts) sum = CheckedAdd(sum, count);
  return sum;
}

// Why the bias stays, whatever is pending; kMoved if nothing holds it.
UpdateReason HeldBy(const BalanceConfig& config, const StepInfo& info, float rate, bool has_tokens) {
  if (info.mode == Mode::kObserve) return UpdateReason::kObserved;
  if (info.mode == Mode::kFrozen || config.frozen) return UpdateReason::kFrozen;
  if (info.position <= config.warmup_steps) return UpdateReason::kWarmUp;
  if (rate == 0) return UpdateReason::kRateZero;
  if (!has_tokens) return UpdateReason::kNoTokens;
  return UpdateReason::kMoved;
}

// Returns the sum of what is pending then.
uint64_t AddToPending(absl::Span<const uint64_t> counts, uint64_t tokens, LayerState* state) {
  state->tokens = CheckedAdd(state->tokens, tokens);
  for (size_t i = 0; i < counts.size(); ++i) state->counts[i] = CheckedAdd(state->counts[i], counts[i]);
  return CheckedSum(state->counts);
}

void ClearPending(LayerState* state) {
  std::fill(state->counts.begin(), state->counts.end(), uint64_t{0});
  state->tokens = 0;
}

LayerStep MakeLayerStep(const BalanceConfig& config, float rate, uint64_t sum, const LayerState& state) {
  LayerStep step;
  step.rule = config.rule;
  step.rate = rate;
  step.momentum = static_cast<float>(config.momentum);
  step.one_minus_momentum = static_cast<float>(1.0 - config.momentum);
  step.ema_divisor = config.ema_correction ? ieee::Sub(1.0f, ieee::Mul(step.momentum, state.ema_product)) : 1.0f;
  step.target = config.target.empty() ? nullptr : config.target.data();
  step.num_experts = static_cast<int64_t>(state.counts.size());
  step.uniform_share = static_cast<float>(1.0 / static_cast<double>(step.num_experts));
  step.sum = sum;
  return step;
}

template <typename Function>
void ForEachMoving(const LayerStep& step, Function function) {
  for (int expert = 0; expert < step.num_experts; ++expert) {
    if (Moves(step, expert)) function(expert);
  }
}

// Mean of value(expert) over the experts that move, in index order.
template <typename Value>
float Mean(const LayerStep& step, Value value) {
  double sum = 0;
  int64_t experts = 0;
  ForEachMoving(step, [&](int expert) {
    sum += static_cast<double>(value(expert));
    ++experts;
  });
  return static_cast<float>(sum / static_cast<double>(experts));
}

float MeanBias(const LayerStep& step, const std::vector<float>& bias) {
  return Mean(step, [&](int expert) { return bias[expert]; });
}

void UpdateEma(const LayerStep& step, LayerState* state) {
  state->ema_product = ieee::Mul(step.momentum, state->ema_product);
  ForEachMoving(step, [&](int expert) {
    const float observation = Observation(step, expert, state->counts[expert]);
    state->ema[expert] = NextEma(step, state->ema[expert], observation);
  });
}

void AddDelta(const LayerStep& step, Center center, LayerState* state) {
  const auto delta = [&](int expert) { return Delta(step, expert, state->ema[expert]); };
  const float offset = center == Center::kDelta ? Mean(step, delta) : 0.0f;
  ForEachMoving(step, [&](int expert) {
    state->bias[expert] = ieee::Add(state->bias[expert], ieee::Sub(delta(expert), offset));
  });
}

void CenterBias(const LayerStep& step, std::vector<float>* bias) {
  const float mean = MeanBias(step, *bias);
  ForEachMoving(step, [&](int expert) { (*bias)[expert] = ieee::Sub((*bias)[expert], mean); });
}

void CapBias(const LayerStep& step, float cap, CapMode mode, std::vector<float>* bias) {
  const float middle = mode == CapMode::kDeviation ? MeanBias(step, *bias) : 0.0f;
  const float low = ieee::Sub(middle, cap);
  const float high = ieee::Add(middle, cap);
  ForEachMoving(step, [&](int expert) { (*bias)[expert] = Clamp((*bias)[expert], low, high); });
}

// Runs the rule on the pending counts, which add up to `sum`.
void Move(const BalanceConfig& config, float rate, uint64_t sum, LayerState* state) {
  const LayerStep step = MakeLayerStep(config, rate, sum, *state);
  UpdateEma(step, state);
  AddDelta(step, config.center, state);
  if (config.center == Center::kState) CenterBias(step, &state->bias);
  if (config.cap > 0) CapBias(step, static_cast<float>(config.cap), config.cap_mode, &state->bias);
}

}  // namespace

UpdateReason Update(const BalanceConfig& config, const StepInfo& info, absl::Span<const uint64_t> counts,
                    uint64_t tokens, LayerState* state) {
  CheckSizes(config, counts.size(), *state);
  const float rate = static_cast<float>(RateAt(config, info.position));
  const bool has_tokens = tokens > 0 && CheckedSum(counts) > 0;
  UpdateReason reason = HeldBy(config, info, rate, has_tokens);
  if (reason == UpdateReason::kMoved) {
    const uint64_t sum = AddToPending(counts, tokens, state);
    if (state->tokens < config.min_tokens) {
      reason = UpdateReason::kBelowMinTokens;
    } else {
      Move(config, rate, sum, state);
      ClearPending(state);
      state->last_update = info.step;
    }
  }
  state->last_commit = info.step;
  state->last_reason = reason;
  return reason;
}

void RecordSkipped(uint64_t step, LayerState* state) {
  state->last_commit = step;
  state->last_reason = UpdateReason::kSkipped;
}

}  // namespace evenkeel::balance
