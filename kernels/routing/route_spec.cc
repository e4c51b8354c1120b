#include "kernels/routing/route_spec.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/routing/invalid_field.h"

namespace evenkeel::routing {
namespace {

absl::Status ValidateEnums(const RouteSpec& spec) {
  absl::Status status = ValidateEnum("score", spec.score, Score::kLogit);
  status.Update(ValidateEnum("weight", spec.weight, Weight::kSigmoidOfSelected));
  status.Update(ValidateEnum("group_score", spec.group_score, GroupScore::kTopkSum));
  status.Update(ValidateEnum("dropped_group_fill", spec.dropped_group_fill, DroppedGroupFill::kZero));
  return status;
}

absl::Status ValidateSizes(const RouteSpec& spec) {
  if (spec.num_experts < 1 || spec.num_experts > kMaxExperts) {
    return InvalidField("num_experts", spec.num_experts, absl::StrCat("must be in [1, ", kMaxExperts, "]"));
  }
  if (spec.top_k < 1 || spec.top_k > spec.num_experts) {
    return InvalidField("top_k", spec.top_k, absl::StrCat("must be in [1, num_experts = ", spec.num_experts, "]"));
  }
  return absl::OkStatus();
}

absl::Status ValidateGroups(const RouteSpec& spec) {
  if (!GroupsActive(spec)) return absl::OkStatus();
  if (spec.num_groups < 1 || spec.num_experts % spec.num_groups != 0) {
    return InvalidField("num_groups", spec.num_groups,
                        absl::StrCat("must be 0, 1 or -1 (no groups) or divide num_experts = ", spec.num_experts));
  }
  if (spec.top_groups < 1 || spec.top_groups > spec.num_groups) {
    return InvalidField("top_groups", spec.top_groups,
                        absl::StrCat("must be in [1, num_groups = ", spec.num_groups, "]"));
  }
  const int kept = spec.top_groups * ExpertsPerGroup(spec);
  if (spec.top_k > kept) {
    return InvalidField(
        "top_k", spec.top_k,
        absl::StrCat("must be at most the ", kept, " experts of top_groups = ", spec.top_groups, " groups"));
  }
  if (spec.group_score == GroupScore::kTop2Sum && ExpertsPerGroup(spec) < 2) {
    return InvalidField("num_groups", spec.num_groups,
                        absl::StrCat("group_score TOP2_SUM needs two experts per group, num_experts = ",
                                     spec.num_experts, " gives ", ExpertsPerGroup(spec)));
  }
  if (spec.group_score == GroupScore::kTopkSum && spec.top_k < spec.top_groups) {
    return InvalidField("top_k", spec.top_k,
                        absl::StrCat("group_score TOPK_SUM needs top_k >= top_groups = ", spec.top_groups));
  }
  return absl::OkStatus();
}

absl::Status ValidateWeights(const RouteSpec& spec) {
  if (!std::isfinite(spec.normalize_epsilon) || spec.normalize_epsilon < 0) {
    return InvalidField("normalize_epsilon", spec.normalize_epsilon, "must be finite and >= 0");
  }
  if (!std::isfinite(spec.normalize_min) || spec.normalize_min < 0) {
    return InvalidField("normalize_min", spec.normalize_min, "must be finite and >= 0");
  }
  if (!std::isfinite(spec.scale) || spec.scale <= 0) {
    return InvalidField("scale", spec.scale, "must be finite and > 0");
  }
  return absl::OkStatus();
}

}  // namespace

bool GroupsActive(const RouteSpec& spec) { return spec.num_groups < -1 || spec.num_groups > 1; }

int ExpertsPerGroup(const RouteSpec& spec) {
  return GroupsActive(spec) ? spec.num_experts / spec.num_groups : spec.num_experts;
}

int GroupScoreTerms(const RouteSpec& spec) {
  switch (spec.group_score) {
    case GroupScore::kTop2Sum:
      return 2;
    case GroupScore::kMax:
      return 1;
    case GroupScore::kTopkSum:
      break;
  }
  return spec.top_k / spec.top_groups;
}

bool NeedsRowSoftmax(const RouteSpec& spec) { return spec.score == Score::kSoftmax || spec.weight == Weight::kSoftmax; }

bool WeightsAreSoftmaxOfAll(const RouteSpec& spec) {
  return spec.weight == Weight::kSoftmax || (spec.weight == Weight::kScore && spec.score == Score::kSoftmax);
}

bool WeightsAreScaled(const RouteSpec& spec) { return !(spec.scale_before_bias && spec.weight == Weight::kScore); }

absl::Status Validate(const RouteSpec& spec) {
  absl::Status status = ValidateEnums(spec);
  if (status.ok()) status = ValidateSizes(spec);
  if (status.ok()) status = ValidateGroups(spec);
  if (status.ok()) status = ValidateWeights(spec);
  return status;
}

}  // namespace evenkeel::routing
