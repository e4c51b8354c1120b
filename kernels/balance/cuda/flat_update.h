#pragma once

#include <cstdint>

#include "kernels/balance/layer_state.h"
#include "kernels/balance/rule.h"
#include "kernels/balance/step_info.h"
#include "kernels/balance/update_reason.h"

// Update() of every layer of a job at once, on flat buffers that stay where they are: the contract of who runs it on a
// GPU. Every address here is in the memory of who runs it, aligned to its type, and the caller's.
namespace evenkeel::balance {

// Experts first_expert .. first_expert + rule.num_experts - 1 of the flat buffers are the layer's; no two layers share
// one. `rule` is MakeLayerRule()'s, with the target where the GPU can read it.
struct FlatLayer {
  int64_t first_expert;
  LayerRule rule;
};

struct FlatStep {
  StepInfo info;
  bool ok;  // false: as RecordUnmoved() for `why_not`, and counts and tokens are not read
  UpdateReason why_not = UpdateReason::kSkipped;
};

// What a step is given, what it moves, and nothing that changes from step to step but by what the addresses hold: a
// CUDA graph that has captured it once runs every step. The schedule is the host's to evaluate, as its cosine is: step
// by step, or once for all of them where `step` and `rates` are made here too (next_step.h). "All" is the number of
// experts of all layers.
struct FlatUpdate {
  int num_layers;           // >= 0
  const FlatLayer* layers;  // [num_layers]

  const FlatStep* step;    // [1]
  const float* rates;      // [num_layers], RateAt() of each layer's config at this position, as float32
  const uint64_t* counts;  // [all], assignments of the step, summed over ranks; left as they are
  const uint64_t* tokens;  // [num_layers], valid tokens of the step, `tokens_stride` elements from layer to layer

  float* bias;            // [all], what the router adds
  float* ema;             // [all]
  uint64_t* pending;      // [all], LayerState::counts
  LayerScalars* scalars;  // [num_layers]

  // [num_layers]. Set to 1, and nothing else of the layer is, where Update() would abort because counts or tokens add
  // up to more than kMaxCountSum. Never set to 0: it is the caller's to look at and to clear.
  uint32_t* refused;

  int64_t tokens_stride = 1;
};

}  // namespace evenkeel::balance
