#include "kernels/balance/layer_rule.h"

#include <algorithm>

namespace evenkeel::balance {

LayerRule MakeLayerRule(const BalanceConfig& config, int num_experts) {
  LayerRule rule;
  rule.rule = config.rule;
  rule.center = config.center;
  rule.cap_mode = config.cap_mode;
  rule.ema_correction = config.ema_correction;
  rule.frozen = config.frozen;
  rule.num_experts = num_experts;
  const auto stay = std::count_if(config.target.begin(), config.target.end(), [](float share) { return share < 0; });
  rule.num_moving = num_experts - static_cast<int>(stay);
  rule.momentum = static_cast<float>(config.momentum);
  rule.one_minus_momentum = static_cast<float>(1.0 - config.momentum);
  rule.uniform_share = static_cast<float>(1.0 / static_cast<double>(num_experts));
  rule.cap = static_cast<float>(config.cap);
  rule.target = config.target.empty() ? nullptr : config.target.data();
  rule.warmup_steps = config.warmup_steps;
  rule.min_tokens = config.min_tokens;
  return rule;
}

}  // namespace evenkeel::balance
