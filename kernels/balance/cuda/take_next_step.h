#pragma once

#include <cstdint>

#include "kernels/balance/cuda/next_step.h"
#include "kernels/balance/update_reason.h"
#include "kernels/ieee.h"

namespace evenkeel::balance {

EVENKEEL_HD_INLINE float RateOf(const RateTable& table, uint64_t position) {
  return table.rates[(position < table.size ? position : table.size) - 1];
}

// What the threads of a block share who share nothing.
struct NoMemory {};

// What one Block (layer_update.h) of any number of threads does for a step. It uses no memory().
template <typename Block>
EVENKEEL_HD_INLINE void TakeNextStep(Block& block, const NextStep& next) {
  const FlatPlace before = *next.place;
  const bool all_took = *next.skips == 0;
  const StepInfo info = {before.step + 1, before.position + 1, next.mode};
  block.Phase([&](int thread) {
    for (int layer = thread; layer < next.num_layers; layer += Block::kThreads) {
      next.rates[layer] = RateOf(next.tables[layer], info.position);
    }
  });
  // All have read the place.
  block.Phase([&](int thread) {
    if (thread != 0) return;
    const bool applies = all_took || next.apply_skipped;
    *next.step = {info, applies && *next.replays == 0, applies ? UpdateReason::kReplayed : UpdateReason::kSkipped};
    *next.place = {info.step, all_took ? info.position : before.position};
  });
}

}  // namespace evenkeel::balance
