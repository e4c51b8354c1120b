#include "kernels/routing/warp/route_plan.h"

#include "kernels/routing/route_spec.h"
#include "kernels/routing/row_output.h"

namespace evenkeel::routing {

RoutePlan MakeRoutePlan(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output) {
  RoutePlan plan = {};
  plan.spec = spec;
  plan.input = input;
  plan.output = output;
  plan.scores_select = input.replay_ids == nullptr && input.forced.mode == ForcedBalance::Mode::kNone;
  plan.groups = plan.scores_select && GroupsActive(spec);
  plan.experts_per_group = ExpertsPerGroup(spec);
  plan.group_score_terms = GroupsActive(spec) ? GroupScoreTerms(spec) : 0;
  // Rounded up, it is too great by less than 1 in 2^20, and an expert's quotient by less than 1 / 1024: too little to
  // reach the next group.
  plan.group_reciprocal = ((1u << kGroupShift) + plan.experts_per_group - 1) / plan.experts_per_group;
  plan.wants_weights = WantsWeights(output);
  plan.needs_softmax = plan.scores_select ? NeedsRowSoftmax(spec) : plan.wants_weights && WeightsAreSoftmaxOfAll(spec);
  plan.scales_weights = WeightsAreScaled(spec);
  plan.bounded_scores = (spec.score == Score::kSigmoid || spec.score == Score::kSoftmax) && !spec.scale_before_bias;
  plan.prunes = plan.scores_select && !plan.groups && spec.score == Score::kSigmoid && !spec.scale_before_bias &&
                !plan.needs_softmax;
  plan.seed = input.forced.seed.value_or(0);
  return plan;
}

}  // namespace evenkeel::routing
