#include "kernels/routing/reference/row_weights.h"

#include <limits>

#include "kernels/ieee.h"
#include "kernels/routing/lane_sum.h"

namespace evenkeel::routing {
namespace {

void Gather(const float* values, const int32_t* ids, int top_k, float absent, float* out) {
  for (int slot = 0; slot < top_k; ++slot) out[slot] = ids[slot] < 0 ? absent : values[ids[slot]];
}

}  // namespace

void GatherValues(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                  float* gathered) {
  // As a logit, minus infinity is the absence of an expert: its sigmoid and its softmax are 0.
  constexpr float kAbsent = -std::numeric_limits<float>::infinity();
  switch (spec.weight) {
    case Weight::kScore:
      return Gather(values.scores, ids, spec.top_k, 0, gathered);
    case Weight::kSoftmax:
      return Gather(values.softmax, ids, spec.top_k, 0, gathered);
    case Weight::kSoftmaxOfSelected:
      Gather(values.logits, ids, spec.top_k, kAbsent, gathered);
      return arithmetic.softmax(gathered, spec.top_k, gathered);
    case Weight::kSigmoidOfSelected:
      Gather(values.logits, ids, spec.top_k, kAbsent, gathered);
      return arithmetic.sigmoid(gathered, spec.top_k, gathered);
  }
}

Normalizer NormalizerOf(const RouteSpec& spec, const float* u) {
  const float sum = ieee::Add(LaneSum(u, spec.top_k), spec.normalize_epsilon);
  const float divisor = ieee::Max(spec.normalize_min, sum);
  return {divisor, ieee::IsFinite(sum) && divisor > 0, sum >= spec.normalize_min};
}

void RowWeights(const RouteSpec& spec, const RowArithmetic& arithmetic, const RowValues& values, const int32_t* ids,
                float* weights) {
  GatherValues(spec, arithmetic, values, ids, weights);
  for (int slot = 0; slot < spec.top_k; ++slot) {
    if (!ieee::IsFinite(weights[slot])) weights[slot] = 0;
  }
  if (spec.normalize) {
    const Normalizer normalizer = NormalizerOf(spec, weights);
    for (int slot = 0; slot < spec.top_k; ++slot) {
      weights[slot] = normalizer.usable ? ieee::Div(weights[slot], normalizer.divisor) : 0.0f;
    }
  }
  if (!WeightsAreScaled(spec)) return;
  for (int slot = 0; slot < spec.top_k; ++slot) weights[slot] = ieee::Mul(weights[slot], spec.scale);
}

}  // namespace evenkeel::routing
