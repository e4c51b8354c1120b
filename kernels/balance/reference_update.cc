#include "kernels/balance/reference_update.h"

#include <numeric>

#include "kernels/balance/schedule.h"

namespace evenkeel::balance {
namespace {

__extension__ using Int128 = __int128;

float Error(const BalanceConfig& config, const std::vector<uint64_t>& counts, uint64_t sum, size_t i) {
  const double c = static_cast<double>(counts[i]);
  if (config.rule == Rule::kFrequency) return static_cast<float>(c / static_cast<double>(sum));
  if (config.target.empty()) {
    const Int128 shortfall = Int128{sum} - Int128{counts.size()} * Int128{counts[i]};
    if (config.rule == Rule::kSign) return shortfall > 0 ? 1.0f : shortfall < 0 ? -1.0f : 0.0f;
    return static_cast<float>(static_cast<double>(shortfall) / static_cast<double>(sum));
  }
  const double d = static_cast<double>(config.target[i]) * static_cast<double>(sum);
  if (config.rule == Rule::kSign) return d > c ? 1.0f : d < c ? -1.0f : 0.0f;
  return static_cast<float>((d - c) / d);
}

float MeanOf(const std::vector<float>& values, const std::vector<size_t>& moving) {
  double sum = 0;
  for (const size_t i : moving) sum += values[i];
  return static_cast<float>(sum / static_cast<double>(moving.size()));
}

void ApplyRule(const BalanceConfig& config, float rate, LayerState* state) {
  const size_t num_experts = state->counts.size();
  const uint64_t sum = std::accumulate(state->counts.begin(), state->counts.end(), uint64_t{0});
  std::vector<size_t> moving;
  for (size_t i = 0; i < num_experts; ++i) {
    if (config.target.empty() || config.target[i] >= 0) moving.push_back(i);
  }

  const float m = static_cast<float>(config.momentum);
  const float one_minus_m = static_cast<float>(1.0 - config.momentum);
  state->ema_product = m * state->ema_product;
  for (const size_t i : moving) {
    state->ema[i] = m * state->ema[i] + one_minus_m * Error(config, state->counts, sum, i);
  }

  std::vector<float> delta(num_experts);
  for (const size_t i : moving) {
    float ema = state->ema[i];
    if (config.ema_correction) ema = ema / (1.0f - state->ema_product);
    if (config.rule == Rule::kFrequency) {
      const float share = config.target.empty() ? static_cast<float>(1.0 / num_experts) : config.target[i];
      delta[i] = rate * (share - ema);
    } else {
      delta[i] = rate * ema;
    }
  }
  if (config.center == Center::kDelta) {
    const float mean = MeanOf(delta, moving);
    for (const size_t i : moving) delta[i] = delta[i] - mean;
  }
  for (const size_t i : moving) state->bias[i] = state->bias[i] + delta[i];
  if (config.center == Center::kState) {
    const float mean = MeanOf(state->bias, moving);
    for (const size_t i : moving) state->bias[i] = state->bias[i] - mean;
  }
  if (config.cap > 0) {
    const float cap = static_cast<float>(config.cap);
    const float middle = config.cap_mode == CapMode::kDeviation ? MeanOf(state->bias, moving) : 0.0f;
    for (const size_t i : moving) {
      if (state->bias[i] > middle + cap) state->bias[i] = middle + cap;
      if (state->bias[i] < middle - cap) state->bias[i] = middle - cap;
    }
  }
}

UpdateReason Decide(const BalanceConfig& config, const StepInfo& info, const std::vector<uint64_t>& counts,
                    uint64_t tokens, LayerState* state) {
  if (info.mode == Mode::kObserve) return UpdateReason::kObserved;
  if (info.mode == Mode::kFrozen) return UpdateReason::kFrozen;
  if (config.frozen) return UpdateReason::kFrozen;
  if (info.position <= config.warmup_steps) return UpdateReason::kWarmUp;
  const float rate = static_cast<float>(RateAt(config, info.position));
  if (rate == 0) return UpdateReason::kRateZero;
  if (tokens == 0 || counts == std::vector<uint64_t>(counts.size(), 0)) return UpdateReason::kNoTokens;

  for (size_t i = 0; i < counts.size(); ++i) state->counts[i] += counts[i];
  state->tokens += tokens;
  if (state->tokens < config.min_tokens) return UpdateReason::kBelowMinTokens;

  ApplyRule(config, rate, state);
  state->counts.assign(counts.size(), 0);
  state->tokens = 0;
  state->last_update = info.step;
  return UpdateReason::kMoved;
}

}  // namespace

UpdateReason ReferenceUpdate(const BalanceConfig& config, const StepInfo& info, const std::vector<uint64_t>& counts,
                             uint64_t tokens, LayerState* state) {
  state->last_commit = info.step;
  state->last_reason = Decide(config, info, counts, tokens, state);
  return state->last_reason;
}

}  // namespace evenkeel::balance
