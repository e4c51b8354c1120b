#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

// The contract of every backward pass: the gradient of a loss by the logits, from its gradient by the weights. The
// reference, the SIMD and the GPU pass write the same bits.
//
// Notation, strides and the floating-point environment are those of route.h. What was chosen is an input: GIVEN THE
// IDS, nothing here depends on the bias, and selection has no gradient. A masked row has id -1 in every slot.
//
// One row. Slot s chose expert e(s), whose logit is x(s). A slot is DEAD when its id is out of [0, E), and when the
// value gathered for it was not finite and counted as 0. A dead slot takes part in nothing: every quantity of a slot,
// below, is 0 for it, whatever the incoming gradients.
//
// All of it is float32 by the operations of ieee.h, rounded one by one as written here; sum() is a LaneSum over the
// slots, whose index is the slot.
//
// Forwards, as the weights were made (row_weights.h):
//   u(s)  the gathered value; in the mode kScore with scale_before_bias it has the scale in it
//   D     max(sum(u) + epsilon, min) with normalize, else 1. Where it was not usable (0, or the sum not finite) the
//         weights of the row were 0, and d_logits is 0 throughout the row.
//   n(s)  u(s) / D
//   w(s)  n(s) * scale, or n(s) where u has the scale in it
//
// Backwards, through the scale and the normaliser:
//   g(s)  d_weights[s] + d_probabilities[e(s)], 0 standing for the one that is absent
//   h(s)  g(s) * scale, or g(s) where u has the scale in it; then, with normalize and where the sum made D (sum(u) +
//         epsilon >= min), less sum(h * n)
//
// and through what was gathered, an expert that is not named having the gradient 0:
//   kScore, but with Score::kSoftmax, and kSigmoidOfSelected
//         d_logits[e(s)] = h(s) * (y'(s) / D). y' is the derivative of the score, or of the sigmoid in the second mode,
//         by derivative.h, and 1 for kLogit; where u has the scale in it, y' * scale takes its place.
//   kSoftmax, and kScore with Score::kSoftmax
//         d_logits[e] = fma(h, n, -(p(e) * H)) for every expert, with H = sum(h * n), p the softmax of the row, without
//         scale, and h and n 0 where no slot chose e. A row whose softmax is NaN has dead slots only; d_logits is 0.
//   kSoftmaxOfSelected
//         d_logits[e(s)] = fma(h(s), n(s), -(u(s) * H)), for slots that are not dead
// Where the scores underflow, D may be 2^-149: y' / D and n are ordinary numbers then, where h / D would overflow.
//
// Accuracy: the error of an element is below (8 + d) 2^-24 of the sum of the absolute terms that it is made of, d being
// by how much the row's maximum exceeds its logit and the least chosen one; the worst measured is half of that
// (backward_gradient_test.cc).
//
// Incoming gradients that are not finite are data: what they reach is infinite or NaN, as the operations have it, so
// that a loss scaler sees it. Of a NaN, sign and payload are not defined.
namespace evenkeel::routing {

struct RouteBackwardInput {
  const void* logits = nullptr;  // [T, E] of logits_dtype, as they were routed; may be null when T is 0
  DType logits_dtype = DType::kF32;
  int64_t rows = 0;  // T >= 0
  int64_t logits_stride = 0;
  // [T, K] of id_type, as a router wrote them: those of a row that are in [0, E) are distinct. Where they are not, the
  // row's d_logits is unspecified.
  const void* ids = nullptr;
  IdType id_type = IdType::kInt32;
  int64_t ids_stride = 0;
  const void* d_weights = nullptr;      // [T, K] of d_weights_dtype; null means 0
  DType d_weights_dtype = DType::kF32;  // kF32 or the logits' type
  int64_t d_weights_stride = 0;
  const float* d_probabilities = nullptr;  // [T, E]: by dense_probabilities; null means 0. Read at the chosen experts.
  int64_t d_probabilities_stride = 0;
};

struct RouteBackwardOutput {
  void* d_logits = nullptr;            // [T, E] of d_logits_dtype, written wholly
  DType d_logits_dtype = DType::kF32;  // kF32 or the logits' type, rounded to nearest even
  int64_t d_logits_stride = 0;
};

// OK, or INVALID_ARGUMENT naming the field and its value: what Validate(spec) refuses; rows < 0; a missing logits, ids
// or d_logits for rows > 0; neither d_weights nor d_probabilities for rows > 0; a stride below its row's length; an
// unknown enum value; a type that is neither kF32 nor the logits'. A pass that refuses its arguments has written
// nothing.
absl::Status ValidateRouteBackward(const RouteSpec& spec, const RouteBackwardInput& input,
                                   const RouteBackwardOutput& output);

}  // namespace evenkeel::routing
