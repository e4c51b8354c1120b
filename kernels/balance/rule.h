#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// What a layer's update goes by, and the arithmetic of one expert, written once for host and device; update.h says what
// it computes. What goes across experts is layer_update.h's.
namespace evenkeel::balance {

// What counts, and tokens, may add up to in one update, the pending ones included: E * count then fits in int64.
inline constexpr uint64_t kMaxCountSum = uint64_t{1} << 48;

// How an expert's error is made of its count c and its wanted count d (the mean, or target * sum of counts).
enum class Rule {
  kSign,          // sign(d - c), arXiv 2408.15664
  kFrequency,     // wanted share - EMA of c / sum of counts, as in axolotl
  kProportional,  // (d - c) / d: does not change its scale with tokens, top_k or the number of experts
};

// A common offset of the bias selects the same experts; centring takes it off.
enum class Center {
  kNone,
  kDelta,  // the change of a step has mean zero, as in torchtitan
  kState,  // the bias has mean zero
};

enum class CapMode {
  kAbsolute,   // |bias| <= cap
  kDeviation,  // |bias - layer mean| <= cap
};

// A BalanceConfig as the update of one layer reads it, without its schedule. Plain data; layer_rule.h makes it.
struct LayerRule {
  Rule rule;
  Center center;
  CapMode cap_mode;
  bool ema_correction;
  bool frozen;
  int num_experts;
  int num_moving;            // of the experts, those whose target is not negative
  float momentum;            // rounded once from double, as are the next three
  float one_minus_momentum;  // from 1 - momentum in double
  float uniform_share;       // 1 / num_experts
  float cap;                 // <= 0: none
  const float* target;       // [num_experts] or null for uniform; not owned, in the memory of who runs the update
  uint64_t warmup_steps;
  uint64_t min_tokens;
};

// What the experts of a layer have in common in one update.
struct LayerStep : LayerRule {
  float rate;
  float ema_divisor;  // 1 - momentum^t after this update, or 1 without correction
  uint64_t sum;       // of the counts, 1 to kMaxCountSum
};

EVENKEEL_HD inline bool Moves(const LayerStep& step, int expert) {
  return step.target == nullptr || step.target[expert] >= 0;
}

// sum - E*count: E times what a uniform expert is short of the mean. Exact.
EVENKEEL_HD inline int64_t UniformShortfall(const LayerStep& step, uint64_t count) {
  return static_cast<int64_t>(step.sum) - int64_t{step.num_experts} * static_cast<int64_t>(count);
}

// Count an expert with a target should have had.
EVENKEEL_HD inline double WantedCount(const LayerStep& step, int expert) {
  return ieee::Mul(static_cast<double>(step.target[expert]), static_cast<double>(step.sum));
}

EVENKEEL_HD inline float SignError(const LayerStep& step, int expert, uint64_t count) {
  if (step.target == nullptr) {
    const int64_t shortfall = UniformShortfall(step, count);
    return static_cast<float>((shortfall > 0) - (shortfall < 0));
  }
  const double wanted = WantedCount(step, expert);
  const double had = static_cast<double>(count);
  return static_cast<float>((had < wanted) - (had > wanted));
}

EVENKEEL_HD inline float ProportionalError(const LayerStep& step, int expert, uint64_t count) {
  if (step.target == nullptr) {
    const double shortfall = static_cast<double>(UniformShortfall(step, count));
    return static_cast<float>(ieee::Div(shortfall, static_cast<double>(step.sum)));
  }
  const double wanted = WantedCount(step, expert);
  return static_cast<float>(ieee::Div(ieee::Sub(wanted, static_cast<double>(count)), wanted));
}

EVENKEEL_HD inline float Share(const LayerStep& step, uint64_t count) {
  return static_cast<float>(ieee::Div(static_cast<double>(count), static_cast<double>(step.sum)));
}

// What the EMA takes in: the error, or the share under kFrequency.
EVENKEEL_HD inline float Observation(const LayerStep& step, int expert, uint64_t count) {
  switch (step.rule) {
    case Rule::kSign:
      return SignError(step, expert, count);
    case Rule::kFrequency:
      return Share(step, count);
    case Rule::kProportional:
      break;
  }
  return ProportionalError(step, expert, count);
}

EVENKEEL_HD inline float NextEma(const LayerStep& step, float ema, float observation) {
  return ieee::Add(ieee::Mul(step.momentum, ema), ieee::Mul(step.one_minus_momentum, observation));
}

// The change of the bias, before centring. `ema` is the stored one, this step's observation in it.
EVENKEEL_HD inline float Delta(const LayerStep& step, int expert, float ema) {
  const float smoothed = ieee::Div(ema, step.ema_divisor);
  if (step.rule != Rule::kFrequency) return ieee::Mul(step.rate, smoothed);
  const float wanted = step.target == nullptr ? step.uniform_share : step.target[expert];
  return ieee::Mul(step.rate, ieee::Sub(wanted, smoothed));
}

EVENKEEL_HD inline float Clamp(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

}  // namespace evenkeel::balance
