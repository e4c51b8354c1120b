#pragma once

#include <cstdint>
#include <vector>

#include "kernels/balance/update_reason.h"

namespace evenkeel::balance {

// The balancing state of one (layer, stream), but for what is per expert. Plain data, the same on host and device.
struct LayerScalars {
  float ema_product = 1.0f;  // momentum^t as a running product, t the updates so far
  uint64_t tokens = 0;       // pending: since the last update
  uint64_t last_commit = 0;  // steps; 0 before the first
  uint64_t last_update = 0;
  UpdateReason last_reason = UpdateReason::kNever;
};

// All of it. The vectors have num_experts entries, in expert order.
struct LayerState : LayerScalars {
  std::vector<float> bias;       // added to the routing scores for selection only
  std::vector<float> ema;        // of the rule's error; under kFrequency of the share of the counts
  std::vector<uint64_t> counts;  // pending, as the tokens are
};

// A layer that no step has touched: all zero. 1 <= num_experts <= kMaxExperts, or the process aborts.
LayerState InitialState(int num_experts);

}  // namespace evenkeel::balance
