#pragma once

#include <cstdint>

#include "client/source/step_counts.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/layer_table.h"

namespace evenkeel::client {

// For tests: buffers of the layers' shape.
inline StepCountsPool PoolOf(const job::LayerTable& layers) {
  return StepCountsPool([shape = StepShape{layers.total_experts(), layers.size(), layers.dispatched_experts()}] {
    return std::make_unique<StepCounts>(shape);
  });
}

// For tests: what a contributor that owns all layers pushes, as a source takes it.
inline StepCountsPtr CountsOf(const v1::PushRequest& payload, uint64_t step, StepCountsPool* pool) {
  StepCountsPtr counts = pool->Take();
  counts->step = step;
  counts->set_skips(payload.ok() ? 0 : 1);
  counts->set_replays(payload.replayed() ? 1 : 0);
  for (size_t i = 0; i < counts->counts().size(); ++i) {
    const uint64_t high = payload.routed().high_size() > 0 ? payload.routed().high(i) : 0;
    counts->mutable_counts()[i] = payload.routed().low(i) | high << 32;
  }
  for (size_t i = 0; i < counts->dispatched().size(); ++i) {
    const uint64_t high = payload.dispatched().high_size() > 0 ? payload.dispatched().high(i) : 0;
    counts->mutable_dispatched()[i] = payload.dispatched().low(i) | high << 32;
  }
  for (size_t i = 0; i < counts->totals().size(); ++i) {
    const uint64_t short_slots = payload.short_slots_size() > 0 ? payload.short_slots(i) : 0;
    counts->mutable_totals()[i] = {payload.valid_tokens(i), short_slots, /*refused=*/0};
  }
  return counts;
}

}  // namespace evenkeel::client
