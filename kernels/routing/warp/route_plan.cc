#include "kernels/routing/warp/route_plan.h"

#include "kernels/routing/route_spec.h"
#include "kernels/routing/row_output.h"
#include "kernels/routing/warp/approximations.h"

namespace evenkeel::routing {
namespace {

bool GroupsInRegisters(const RouteSpec& spec) {
  const int size = ExpertsPerGroup(spec);
  const int registers = WarpRegisters(spec.num_experts);
  const bool in_lanes = size == 64 || (size >= registers && size <= 32 && (size & (size - 1)) == 0);
  return in_lanes && GroupsFitRegisters(registers);
}

// Whether approximate keys make the groups' scores; see row_near_groups-inl.h.
bool PrunesGroups(const RouteSpec& spec, const RouteInput& input) {
  return spec.num_groups <= 32 && GroupScoreTerms(spec) <= 2 && (spec.group_score_biased || input.bias == nullptr);
}

// The greatest b with 2^b lanes of 32 for each of so many groups.
int GroupLaneBits(int num_groups) {
  int bits = 0;
  while ((num_groups << (bits + 1)) <= 32) ++bits;
  return bits;
}

bool Prunes(const RouteSpec& spec, const RouteInput& input) {
  // Beside a greater scale a bias might make a score infinite that would not be by another rounding.
  const bool bounded = !spec.scale_before_bias || spec.scale <= 0x1p60f;
  return bounded && (!GroupsActive(spec) || PrunesGroups(spec, input));
}

float ScoreError(const RouteSpec& spec) {
  const float error = spec.score == Score::kSqrtSoftplus ? kApproximateSqrtSoftplusError : kApproximateScoreError;
  return error * (spec.scale_before_bias ? spec.scale : 1.0f);
}

int64_t SizeOf(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

RowBytes BytesOfRow(const RouteInput& input, const RouteOutput& output) {
  const int64_t id_size = output.id_type == IdType::kInt32 ? 4 : 8;
  return {input.logits_stride * SizeOf(input.logits_dtype), output.ids == nullptr ? 0 : output.ids_stride * id_size,
          output.weights == nullptr ? 0 : output.weights_stride * SizeOf(output.weights_dtype)};
}

struct CompareField {
  bool same = true;
  template <typename Field, typename Value>
  void operator()(const Field& field, Value value) {
    same = same && field == value;
  }
};

bool IsOfPath(RoutePath path, RoutePlan plan) {
  CompareField compare;
  VisitSettled(path, plan, compare);
  return compare.same;
}

}  // namespace

RoutePath PathOf(const RoutePlan& plan) {
  if (plan.spec.num_experts != 32 * WarpRegisters(plan.spec.num_experts)) return RoutePath::kAny;
  for (const RoutePath path : {RoutePath::kSigmoid, RoutePath::kGroupedSigmoid, RoutePath::kChosenSoftmax}) {
    if (IsOfPath(path, plan)) return path;
  }
  return RoutePath::kAny;
}

RoutePlan MakeRoutePlan(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output) {
  RoutePlan plan = {};
  plan.spec = spec;
  plan.input = input;
  plan.output = output;
  plan.scores_select = input.replay_ids == nullptr && input.forced.mode == ForcedBalance::Mode::kNone;
  plan.groups = plan.scores_select && GroupsActive(spec);
  plan.experts_per_group = ExpertsPerGroup(spec);
  plan.group_score_terms = GroupsActive(spec) ? GroupScoreTerms(spec) : 0;
  plan.groups_in_registers = GroupsInRegisters(spec);
  plan.group_lane_bits = GroupsActive(spec) ? GroupLaneBits(spec.num_groups) : 0;
  // Rounded up, it is too great by less than 1 in 2^20, and an expert's quotient by less than 1 / 1024: too little to
  // reach the next group.
  plan.group_reciprocal = ((1u << kGroupShift) + plan.experts_per_group - 1) / plan.experts_per_group;
  plan.wants_weights = WantsWeights(output);
  plan.stores_ids = output.ids != nullptr;
  plan.stores_weights = output.weights != nullptr;
  plan.counts = output.counts != nullptr;
  plan.needs_softmax = plan.scores_select ? NeedsRowSoftmax(spec) : plan.wants_weights && WeightsAreSoftmaxOfAll(spec);
  plan.scales_weights = WeightsAreScaled(spec);
  plan.bounded_scores = (spec.score == Score::kSigmoid || spec.score == Score::kSoftmax) && !spec.scale_before_bias;
  plan.prunes = plan.scores_select && Prunes(spec, input);
  plan.score_error = ScoreError(spec);
  plan.seed = input.forced.seed.value_or(0);
  plan.row_bytes = BytesOfRow(input, output);
  return plan;
}

}  // namespace evenkeel::routing
