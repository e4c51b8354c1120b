#include "kernels/routing/row_weights.h"

#include <limits>

#include "kernels/ieee.h"
#include "kernels/routing/lane_sum.h"

namespace evenkeel::routing {
namespace {

void Gather(const float* values, const int32_t* ids, int top_k, float absent, float* out) {
  for (int slot = 0; slot < top_k; ++slot) out[slot] = ids[slot] < 0 ? absent : values[ids[slot]];
}

void GatherUnnormalized(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values,
                        const int32_t* ids, float* weights) {
  // As a logit, minus infinity is the absence of an expert: its sigmoid and its softmax are 0.
  constexpr float kAbsent = -std::numeric_limits<float>::infinity();
  switch (spec.weight) {
    case Weight::kScore:
      return Gather(values.scores, ids, spec.top_k, 0, weights);
    case Weight::kSoftmax:
      return Gather(values.softmax, ids, spec.top_k, 0, weights);
    case Weight::kSoftmaxOfSelected:
      Gather(values.logits, ids, spec.top_k, kAbsent, weights);
      return arithmetic.softmax(weights, spec.top_k, weights);
    case Weight::kSigmoidOfSelected:
      Gather(values.logits, ids, spec.top_k, kAbsent, weights);
      return arithmetic.sigmoid(weights, spec.top_k, weights);
  }
}

void Normalize(const RouteSpec& spec, float* weights) {
  const float sum = ieee::Add(LaneSum(weights, spec.top_k), spec.normalize_epsilon);
  const float divisor = ieee::Max(spec.normalize_min, sum);
  const bool usable = ieee::IsFinite(sum) && divisor > 0;
  for (int slot = 0; slot < spec.top_k; ++slot) {
    weights[slot] = usable ? ieee::Div(weights[slot], divisor) : 0.0f;
  }
}

}  // namespace

void RowWeights(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                float* weights) {
  GatherUnnormalized(spec, arithmetic, values, ids, weights);
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (!ieee::IsFinite(weights[slot])) weights[slot] = 0;
  }
  if (spec.normalize) Normalize(spec, weights);
  const bool scaled_already = spec.scale_before_bias && spec.weight == Weight::kScore;
  if (scaled_already) return;
  for (int slot = 0; slot < spec.top_k; ++slot) weights[slot] = ieee::Mul(weights[slot], spec.scale);
}

}  // namespace evenkeel::routing
