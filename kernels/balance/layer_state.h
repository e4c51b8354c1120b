#pragma once

#include <cstdint>
#include <vector>

#include "kernels/balance/update_reason.h"

namespace evenkeel::balance {

// The balancing state of one (layer, stream). The four vectors have num_experts entries, in expert order.
struct LayerState {
  std::vector<float> bias;       // added to the routing scores for selection only
  std::vector<float> ema;        // of the rule's error; under kFrequency of the share of the counts
  float ema_product = 1.0f;      // momentum^t as a running product, t the updates so far
  std::vector<uint64_t> counts;  // pending: since the last update
  uint64_t tokens = 0;           // pending likewise
  uint64_t last_commit = 0;      // steps; 0 before the first
  uint64_t last_update = 0;
  UpdateReason last_reason = UpdateReason::kNever;
};

// A layer that no step has touched: all zero. 1 <= num_experts <= kMaxExperts, or the process aborts.
LayerState InitialState(int num_experts);

}  // namespace evenkeel::balance
