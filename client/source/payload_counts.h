#pragma once

#include <cstdint>

#include "client/source/step_counts.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/layer_table.h"

namespace evenkeel::client {

// What a contributor that owns all layers pushes, as a source takes it.
inline StepCounts CountsOf(const v1::PushRequest& payload, const job::LayerTable& layers, uint64_t step) {
  StepCounts counts(layers.total_experts(), layers.size());
  counts.step = step;
  counts.set_skips(payload.ok() ? 0 : 1);
  for (int i = 0; i < layers.total_experts(); ++i) {
    const uint64_t high = payload.routed().high_size() > 0 ? payload.routed().high(i) : 0;
    counts.mutable_counts()[i] = payload.routed().low(i) | high << 32;
  }
  for (int i = 0; i < layers.size(); ++i) {
    counts.mutable_tokens()[i] = payload.valid_tokens(i);
    counts.mutable_short_slots()[i] = payload.short_slots_size() > 0 ? payload.short_slots(i) : 0;
  }
  return counts;
}

}  // namespace evenkeel::client
