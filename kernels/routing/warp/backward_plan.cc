#include "kernels/routing/warp/backward_plan.h"

#include <cstdint>

namespace evenkeel::routing {
namespace {

constexpr int kPieceBytes = 16;

Gathered GatheredBy(const RouteSpec& spec) {
  if (WeightsAreSoftmaxOfAll(spec)) return Gathered::kSoftmaxOfAll;
  if (spec.weight == Weight::kSoftmaxOfSelected) return Gathered::kSoftmaxOfSelected;
  if (spec.weight == Weight::kSigmoidOfSelected || spec.score == Score::kSigmoid) return Gathered::kSigmoid;
  return spec.score == Score::kSqrtSoftplus ? Gathered::kSqrtSoftplus : Gathered::kLogit;
}

int ZeroPieces(int num_experts, const RouteBackwardOutput& output) {
  const int element = output.d_logits_dtype == DType::kF32 ? sizeof(float) : sizeof(uint16_t);
  const bool begins_whole = reinterpret_cast<uintptr_t>(output.d_logits) % kPieceBytes == 0 &&
                            output.d_logits_stride % (kPieceBytes / element) == 0;
  const int bytes = num_experts * element;
  return begins_whole && bytes % kPieceBytes == 0 ? bytes / kPieceBytes : 0;
}

}  // namespace

BackwardPlan MakeBackwardPlan(const RouteSpec& spec, const RouteBackwardInput& input,
                              const RouteBackwardOutput& output) {
  BackwardPlan plan = {};
  plan.spec = spec;
  plan.input = input;
  plan.output = output;
  plan.gathered = GatheredBy(spec);
  plan.scales_weights = WeightsAreScaled(spec);
  plan.zero_pieces = ZeroPieces(spec.num_experts, output);
  return plan;
}

}  // namespace evenkeel::routing
