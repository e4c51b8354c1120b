#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace evenkeel::balance {

// The max_violation (load_metrics.h) to be expected of a step of `tokens` tokens whose router is perfectly even: each
// token takes `top_k` different experts of `num_experts`, every expert as likely as its target says. 0 where nothing is
// left to chance: without tokens, or where every token takes every expert.
//
// An approximation: counts as normal variables that sum to a constant, corrected for their skewness. Within 3 % of
// simulated draws from 4 tokens for an expert on, within 10 % from one on. `target` is as in load_metrics.h; where it
// differs from expert to expert, all are taken to scatter as they do on average.
//
// For people and dashboards: goes through libm. Pure, thread-safe, allocates nothing.
double NoiseFloor(int num_experts, int top_k, uint64_t tokens, absl::Span<const float> target = {});

}  // namespace evenkeel::balance
