#pragma once

#include <cstdint>
#include <vector>

#include "kernels/routing/reference/row_weights.h"
#include "kernels/routing/route.h"

namespace evenkeel::routing {

// The unbiased values of one row of logits after another, in plain scalar code, with a workspace of O(num_experts);
// nothing is allocated after construction. One thread at a time.
class RowScorer {
 public:
  // Keeps both spec and logits by reference. The logits are [T, E] of `dtype`, as in route.h.
  RowScorer(const RouteSpec& spec, const void* logits, DType dtype, int64_t stride);

  // Of a row, valid until the next call. The softmax is null where NeedsRowSoftmax is false.
  RowValues Score(int64_t row);

 private:
  const RouteSpec& spec_;
  const void* const matrix_;
  const DType dtype_;
  const int64_t stride_;
  std::vector<float> logits_;   // [E]
  std::vector<float> softmax_;  // [E], or empty
  std::vector<float> scores_;   // [E]
};

}  // namespace evenkeel::routing
