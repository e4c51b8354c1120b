#pragma once

#include <cstdint>

#include "kernels/routing/reference/row_arithmetic.h"
#include "kernels/routing/route_spec.h"

// The weights of one row, and the steps that make them, which the backward pass takes back:
//   u(s)  the gathered value of slot s, 0 where it is not finite
//   n(s)  u(s) / divisor, with normalize
//   w(s)  n(s) * scale, where WeightsAreScaled
// Pure; safe in any thread. Arrays of slots have K = spec.top_k elements, and the ids are -1 in short slots.
namespace evenkeel::routing {

// The unbiased values of one row, [E] each, of which its weights are made.
struct RowValues {
  const float* logits;
  const float* scores;   // scaled already, with scale_before_bias
  const float* softmax;  // over all experts; read only where the weight mode is kSoftmax
};

// weights[0 .. K - 1] of the experts ids[0 .. K - 1], as route.h says: gathered, normalised, scaled; 0 where the id is
// -1.
void RowWeights(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                float* weights);

// The values that the weight mode gathers, as they come, finite or not; 0 where the id is -1, but for a softmax over
// chosen logits that is NaN throughout.
void GatherValues(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                  float* gathered);

// What normalising divides by.
struct Normalizer {
  float divisor;  // max(sum(u) + normalize_epsilon, normalize_min)
  bool usable;    // where not, the weights of the row are 0
  bool is_sum;    // the divisor is sum(u) + normalize_epsilon
};

Normalizer NormalizerOf(const RouteSpec& spec, const float* u);

}  // namespace evenkeel::routing
