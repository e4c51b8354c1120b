#pragma once

#include <cstdint>

#include "kernels/routing/route_spec.h"
#include "kernels/routing/row_arithmetic.h"

namespace evenkeel::routing {

// The unbiased values of one row, [E] each, of which its weights are made.
struct RowValues {
  const float* logits;
  const float* scores;   // scaled already, with scale_before_bias
  const float* softmax;  // over all experts; read only where the weight mode is kSoftmax
};

// weights[0 .. K - 1] of the experts ids[0 .. K - 1], as route.h says: gathered, normalised, scaled; 0 where the id is
// -1. Pure; safe in any thread.
void RowWeights(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                float* weights);

}  // namespace evenkeel::routing
