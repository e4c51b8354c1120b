#include "adapters/hf/router_rule.h"

#include <cfloat>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "adapters/hf/fields.h"
#include "base/status_macros.h"

namespace evenkeel::hf {
namespace {

using routing::GroupScore;
using routing::RouteSpec;
using routing::Score;
using routing::Weight;

constexpr absl::string_view kProbabilitySpace =
    "the bias is on the probabilities: groups are chosen by sums of them, which logits do not order alike";

std::optional<Score> ScoreOfWord(absl::string_view word) {
  if (word == "sigmoid") return Score::kSigmoid;
  if (word == "softmax") return Score::kSoftmax;
  if (word == "sqrtsoftplus") return Score::kSqrtSoftplus;
  return std::nullopt;
}

absl::StatusOr<bool> ReadFlag(const ConfigMap& config, const Names& field, bool otherwise) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<bool> value, config.Bool(field));
  return value.value_or(otherwise);
}

// The function that scores, of the field that chooses it where there is one. Where there is none the config may still
// name one, and then it must be the family's.
absl::StatusOr<Score> ReadScore(const Scoring& scoring, const ConfigMap& config) {
  const bool is_fixed = scoring.field.empty();
  const Names field = is_fixed ? kScoreWord : Names(scoring.field);
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> word, config.Word(field));
  if (!word.has_value()) return scoring.score;
  const std::optional<Score> score = ScoreOfWord(*word);
  if (is_fixed) {
    if (!score.has_value() || *score == scoring.score) return scoring.score;
    return config.Error(field, absl::StrCat("\"", *word, "\" is not what this model_type computes"));
  }
  const bool is_allowed = score == Score::kSigmoid || (score == Score::kSoftmax && scoring.may_be_softmax) ||
                          (score == Score::kSqrtSoftplus && scoring.may_be_softplus);
  if (is_allowed) return *score;
  return config.Error(
      field, absl::StrCat("\"", word->substr(0, 64), "\" is none of sigmoid", scoring.may_be_softmax ? ", softmax" : "",
                          scoring.may_be_softplus ? ", sqrtsoftplus" : ""));
}

absl::StatusOr<bool> HasGroups(const Grouping& grouping, const ConfigMap& config) {
  if (!grouping.exists || !grouping.by_topk_method) return grouping.exists;
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> method, config.Word(kTopkMethod));
  if (!method.has_value() || *method == "greedy") return false;
  if (*method == "group_limited_greedy") return true;
  return config.Error(kTopkMethod,
                      absl::StrCat("\"", method->substr(0, 64), "\" is none of greedy, group_limited_greedy"));
}

// Absent is the family's default; null is no groups.
absl::Status ReadGroups(const Grouping& grouping, const ConfigMap& config, RouteSpec* spec) {
  EVENKEEL_ASSIGN_OR_RETURN(const bool has_groups, HasGroups(grouping, config));
  if (!has_groups) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> groups, config.Int(kNumGroups, -1, routing::kMaxExperts));
  const bool is_null = !groups.has_value() && (config.Has(kNumGroups.names[0]) || config.Has(kNumGroups.names[1]));
  RouteSpec grouped;
  grouped.num_groups = groups.value_or(is_null ? 0 : grouping.num_groups);
  if (grouping.by_topk_method && !groups.has_value()) return config.Missing(kNumGroups);
  if (!GroupsActive(grouped)) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> top, config.Int(kTopGroups, 1, grouped.num_groups));
  if (!top.has_value() && grouping.top_groups == 0) return config.Missing(kTopGroups);
  spec->num_groups = grouped.num_groups;
  spec->top_groups = top.value_or(grouping.top_groups);
  spec->group_score = grouping.score;
  spec->dropped_group_fill = grouping.fill;
  return absl::OkStatus();
}

absl::Status ReadNormalizing(const Normalizing& normalizing, const ConfigMap& config, RouteSpec* spec) {
  spec->normalize = normalizing.when == Normalizing::When::kAlways;
  if (normalizing.when == Normalizing::When::kByFlag) {
    EVENKEEL_ASSIGN_OR_RETURN(spec->normalize, ReadFlag(config, kNormalize, normalizing.flag));
  }
  if (!spec->normalize) return absl::OkStatus();
  spec->normalize_epsilon = normalizing.epsilon;
  if (!normalizing.min_field.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(const auto min, config.Float(normalizing.min_field, 0, FLT_MAX));
    spec->normalize_min = min.value_or(normalizing.min);
  }
  return absl::OkStatus();
}

absl::Status ReadScaling(const Scaling& scaling, const ConfigMap& config, RouterRule* rule) {
  rule->per_top_k = scaling.per_top_k;
  if (scaling.field.empty()) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const auto factor, config.Float(scaling.field, FLT_MIN, FLT_MAX));
  (scaling.of_output ? rule->output_scale : rule->spec.scale) = factor.value_or(scaling.factor);
  return absl::OkStatus();
}

void ClearNormalizing(RouteSpec* spec) {
  spec->normalize = false;
  spec->normalize_epsilon = 0;
  spec->normalize_min = 0;
}

// Where the bias goes, and what the weights are made of. See BIAS SPACE in model_routing.h: a softmax keeps the order
// of its logits, and normalised over the chosen experts it is the softmax of those.
void SetScore(const Scoring& scoring, Score score, RouterRule* rule) {
  RouteSpec* spec = &rule->spec;
  const bool is_softmax = score == Score::kSoftmax;
  const bool sums_probabilities = routing::GroupsActive(*spec) && spec->group_score != GroupScore::kMax;
  if (scoring.of_selected) {
    spec->score = Score::kLogit;
    spec->weight = is_softmax ? Weight::kSoftmaxOfSelected : Weight::kSigmoidOfSelected;
    if (is_softmax) ClearNormalizing(spec);
  } else if (is_softmax && !rule->has_bias && !sums_probabilities) {
    spec->score = Score::kLogit;
    spec->weight = spec->normalize ? Weight::kSoftmaxOfSelected : Weight::kSoftmax;
    ClearNormalizing(spec);
  } else {
    spec->score = score;
    spec->weight = Weight::kScore;
    if (is_softmax && !rule->has_bias) rule->note = std::string(kProbabilitySpace);
  }
}

absl::Status ReadQuirks(const Family& family, const ConfigMap& config, RouterRule* rule) {
  const Quirks& quirks = family.quirks;
  rule->weights_scale_input = quirks.weights_scale_input;
  if (!quirks.weights_scale_input_field.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(rule->weights_scale_input, ReadFlag(config, quirks.weights_scale_input_field, false));
  }
  if (!quirks.soft_cap_field.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(const auto cap, config.Float(quirks.soft_cap_field, -FLT_MAX, FLT_MAX));
    if (cap.value_or(0) > 0) {
      const absl::Status status = config.Error(
          quirks.soft_cap_field,
          absl::StrCat(family.model_types.names[0], " caps its logits softly here, which a RouteSpec cannot express"));
      return absl::UnimplementedError(status.message());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RouterRule> ReadRouterRule(const Family& family, const ConfigMap& config) {
  RouterRule rule;
  rule.has_bias = !family.modules.bias[0].empty();
  if (!family.modules.bias_flag.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(rule.has_bias, ReadFlag(config, family.modules.bias_flag, family.modules.has_bias));
  }
  rule.normalize_above_one = family.normalizing.above_one;
  EVENKEEL_RETURN_IF_ERROR(ReadQuirks(family, config, &rule));
  EVENKEEL_ASSIGN_OR_RETURN(const Score score, ReadScore(family.scoring, config));
  EVENKEEL_RETURN_IF_ERROR(ReadGroups(family.grouping, config, &rule.spec));
  EVENKEEL_RETURN_IF_ERROR(ReadNormalizing(family.normalizing, config, &rule.spec));
  EVENKEEL_RETURN_IF_ERROR(ReadScaling(family.scaling, config, &rule));
  SetScore(family.scoring, score, &rule);
  return rule;
}

absl::StatusOr<RouteSpec> SpecOfSize(const RouterRule& rule, const ConfigMap& config, int num_experts, int top_k) {
  RouteSpec spec = rule.spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  if (rule.normalize_above_one && top_k == 1) {
    ClearNormalizing(&spec);
    if (spec.weight == Weight::kSoftmaxOfSelected) spec.weight = Weight::kSoftmax;
  }
  if (rule.per_top_k) spec.scale /= static_cast<float>(top_k);
  const absl::Status status = routing::Validate(spec);
  if (!status.ok()) return config.Error(kNumGroups, absl::StrCat("no valid router: ", status.message()));
  return spec;
}

}  // namespace evenkeel::hf
