#pragma once

#include <cstdint>

#include "kernels/routing/cpu/row_workspace.h"

// Where the SIMD backward pass keeps what it is working on: on the caller's stack, 46 KiB of it.
namespace evenkeel::routing {

// What normalising did to a row.
struct Normalized {
  float divisor;  // D
  bool usable;    // where not, the weights of the row were 0
  bool centres;   // the sum made D, so that every weight moves it
};

// One row on its way back. The names are those of route_backward.h; arrays of slots, whose last register is whole.
struct BackwardRow {
  int64_t index;                           // of the row in the batch
  alignas(64) int32_t ids[kMaxSimdSlots];  // -1 in dead slots
  alignas(64) float x[kMaxSimdSlots];
  alignas(64) float p[kMaxSimdSlots];
  alignas(64) float u[kMaxSimdSlots];
  alignas(64) float n[kMaxSimdSlots];
  alignas(64) float h[kMaxSimdSlots];
  alignas(64) float derivatives[kMaxSimdSlots];      // y'
  alignas(64) float d_probabilities[kMaxSimdSlots];  // of the slots' experts
  alignas(64) float d_chosen[kMaxSimdSlots];         // d_logits of the slots' experts
  Normalized normalized;

  // Where the weights are a softmax over all experts.
  float total;                                 // of the exponentials; NaN where the row's softmax is
  float sum_hn;                                // H
  alignas(64) float experts[kMaxSimdExperts];  // e^(logit - row maximum), then d_logits
};

// Several rows take each step together, so that one waits for memory or for a long instruction while the others go on.
struct BackwardBlock {
  static constexpr int kRows = 8;

  alignas(64) float logits[kMaxSimdExperts];  // of one row, widened
  BackwardRow rows[kRows];
};

}  // namespace evenkeel::routing
