#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

// The contract of every backward pass: the gradient of a loss by the logits, from its gradient by the weights. The
// reference, the SIMD and the GPU pass write the same bits.
//
// Notation and strides are those of route.h. What was chosen is an input: GIVEN THE IDS, nothing here depends on the
// bias, and selection has no gradient.
//
// One row. Slot s chose expert e(s) with weight w(s); a short slot (id -1) has none and takes part in nothing. A row
// that was masked is a row of short slots. The incoming gradient of a slot is
//   g(s) = d_weights[s] + d_probabilities[e(s)],   in this order, an absent one being 0.
// Backwards through what RowWeights did, each step in float32 by ieee.h, each sum a LaneSum over the slots (the index
// is the slot; short slots add 0):
//   scale       g(s) *= scale, unless the weights were not scaled at the end (scale_before_bias with Weight::kScore).
//   normalise   w = u / D, D = max(sum(u) + epsilon, min). Where sum + epsilon won (or equals min):
//               g(s) = (g(s) - sum(g * n)) / D, with n(s) = u(s) / D. Where min won: g(s) = g(s) / D. Where the row's
//               weights were 0 for want of a usable divisor: g(s) = 0.
//   gathering   a gathered value that is not finite counted as 0, and has gradient 0.
//   kScore      g(s) times the derivative of the score by its logit, times scale with scale_before_bias:
//                 kSigmoid       y (1 - y)
//                 kSqrtSoftplus  sigmoid(x) / (2 y), 0 where y is 0
//                 kLogit         1
//                 kSoftmax       as kSoftmax below
//   kSoftmax    over all experts: d_logits[e] = p(e) (g(e) - sum(g(s) p(e(s)))), with g(e) = 0 for experts that were
//               not chosen; 0 throughout a row whose softmax is NaN.
//   kSoftmaxOfSelected   the same over the chosen experts.
//   kSigmoidOfSelected   y (1 - y) of the logit.
// Experts that no step reaches have gradient 0.
namespace evenkeel::routing {

struct RouteBackwardInput {
  const void* logits = nullptr;  // [T, E] of logits_dtype, as they were routed; may be null when T is 0
  DType logits_dtype = DType::kF32;
  int64_t rows = 0;  // T >= 0
  int64_t logits_stride = 0;
  // [T, K] of id_type, as a router wrote them. An id out of [0, E) is a short slot; ids are distinct within a row.
  const void* ids = nullptr;
  IdType id_type = IdType::kInt32;
  int64_t ids_stride = 0;
  const void* d_weights = nullptr;      // [T, K] of d_weights_dtype; null means 0
  DType d_weights_dtype = DType::kF32;  // kF32 or the logits' type
  int64_t d_weights_stride = 0;
  const float* d_probabilities = nullptr;  // [T, E]: by dense_probabilities; null means 0
  int64_t d_probabilities_stride = 0;
};

struct RouteBackwardOutput {
  void* d_logits = nullptr;            // [T, E] of d_logits_dtype, written wholly
  DType d_logits_dtype = DType::kF32;  // kF32 or the logits' type, rounded to nearest even
  int64_t d_logits_stride = 0;
};

// OK, or INVALID_ARGUMENT naming the field and its value: what Validate(spec) refuses; rows < 0; a missing logits, ids
// or d_logits for rows > 0; neither d_weights nor d_probabilities; a stride below its row's length; an unknown enum
// value; a type that is neither kF32 nor the logits'. A pass that refuses its arguments has written nothing.
absl::Status ValidateRouteBackward(const RouteSpec& spec, const RouteBackwardInput& input,
                                   const RouteBackwardOutput& output);

}  // namespace evenkeel::routing
