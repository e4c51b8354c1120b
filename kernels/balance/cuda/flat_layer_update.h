#pragma once

#include <cstdint>

#include "kernels/balance/cuda/flat_update.h"
#include "kernels/balance/layer_update.h"

namespace evenkeel::balance {

// What one Block (layer_update.h) does for layer `index`. Blocks of different layers share nothing that they write.
template <typename Block>
EVENKEEL_HD_INLINE void UpdateFlatLayer(Block& block, const FlatUpdate& update, int index) {
  const FlatStep step = *update.step;
  if (!step.ok) {
    block.Phase([&](int thread) {
      if (thread == 0) HoldLayer(step.info.step, step.why_not, &update.scalars[index]);
    });
    return;
  }

  const int64_t first = update.layers[index].first_expert;
  const LayerBuffers buffers = {update.counts + first, update.tokens[index * update.tokens_stride], update.bias + first,
                                update.ema + first, update.pending + first};
  LayerScalars scalars = update.scalars[index];
  const bool done = UpdateLayer(block, update.layers[index].rule, step.info, update.rates[index], buffers, &scalars);
  block.Phase([&](int thread) {
    if (thread != 0) return;
    if (done) {
      update.scalars[index] = scalars;
    } else {
      update.refused[index] = 1;
    }
  });
}

}  // namespace evenkeel::balance
