#include "config/route_spec.h"

#include "base/status_macros.h"
#include "config/enum_pairs.h"

namespace evenkeel::config {
namespace {

using Message = v1::RouteSpec;
using routing::DroppedGroupFill;
using routing::GroupScore;
using routing::RouteSpec;
using routing::Score;
using routing::Weight;

constexpr EnumPair<Message::Score::Function, Score> kScores[] = {
    {Message::Score::SIGMOID, Score::kSigmoid},
    {Message::Score::SOFTMAX, Score::kSoftmax},
    {Message::Score::SQRT_SOFTPLUS, Score::kSqrtSoftplus},
    {Message::Score::LOGIT, Score::kLogit},
};
constexpr EnumPair<Message::Weight::Function, Weight> kWeights[] = {
    {Message::Weight::SCORE, Weight::kScore},
    {Message::Weight::SOFTMAX, Weight::kSoftmax},
    {Message::Weight::SOFTMAX_OF_SELECTED, Weight::kSoftmaxOfSelected},
    {Message::Weight::SIGMOID_OF_SELECTED, Weight::kSigmoidOfSelected},
};
constexpr EnumPair<Message::GroupScore::Function, GroupScore> kGroupScores[] = {
    {Message::GroupScore::TOP2_SUM, GroupScore::kTop2Sum},
    {Message::GroupScore::MAX, GroupScore::kMax},
    {Message::GroupScore::TOPK_SUM, GroupScore::kTopkSum},
};
constexpr EnumPair<Message::DroppedGroupFill::Value, DroppedGroupFill> kFills[] = {
    {Message::DroppedGroupFill::NEG_INF, DroppedGroupFill::kNegInf},
    {Message::DroppedGroupFill::ZERO, DroppedGroupFill::kZero},
};

absl::Status ReadEnums(const Message& message, RouteSpec* spec) {
  if (message.has_score()) EVENKEEL_RETURN_IF_ERROR(FromWire(kScores, "score", message.score(), &spec->score));
  if (message.has_weight()) EVENKEEL_RETURN_IF_ERROR(FromWire(kWeights, "weight", message.weight(), &spec->weight));
  if (message.has_group_score()) {
    EVENKEEL_RETURN_IF_ERROR(FromWire(kGroupScores, "group_score", message.group_score(), &spec->group_score));
  }
  if (message.has_dropped_group_fill()) {
    EVENKEEL_RETURN_IF_ERROR(
        FromWire(kFills, "dropped_group_fill", message.dropped_group_fill(), &spec->dropped_group_fill));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RouteSpec> RouteSpecFromProto(const Message& message) {
  if (!message.has_num_experts()) return absl::InvalidArgumentError("num_experts: missing");
  if (!message.has_top_k()) return absl::InvalidArgumentError("top_k: missing");
  RouteSpec spec;
  spec.num_experts = message.num_experts();
  spec.top_k = message.top_k();
  EVENKEEL_RETURN_IF_ERROR(ReadEnums(message, &spec));
  if (message.has_num_groups()) spec.num_groups = message.num_groups();
  if (message.has_top_groups()) spec.top_groups = message.top_groups();
  if (message.has_group_score_biased()) spec.group_score_biased = message.group_score_biased();
  if (message.has_normalize()) spec.normalize = message.normalize();
  if (message.has_normalize_epsilon()) spec.normalize_epsilon = message.normalize_epsilon();
  if (message.has_normalize_min()) spec.normalize_min = message.normalize_min();
  if (message.has_scale()) spec.scale = message.scale();
  if (message.has_scale_before_bias()) spec.scale_before_bias = message.scale_before_bias();
  EVENKEEL_RETURN_IF_ERROR(routing::Validate(spec));
  return spec;
}

Message RouteSpecToProto(const RouteSpec& spec) {
  const RouteSpec defaults;
  Message message;
  message.set_num_experts(spec.num_experts);
  message.set_top_k(spec.top_k);
  message.set_score(ToWire(kScores, spec.score));
  message.set_weight(ToWire(kWeights, spec.weight));
  if (routing::GroupsActive(spec)) {
    message.set_num_groups(spec.num_groups);
    message.set_top_groups(spec.top_groups);
    message.set_group_score(ToWire(kGroupScores, spec.group_score));
    message.set_group_score_biased(spec.group_score_biased);
    message.set_dropped_group_fill(ToWire(kFills, spec.dropped_group_fill));
  }
  if (spec.normalize) message.set_normalize(true);
  if (spec.normalize_epsilon != defaults.normalize_epsilon) message.set_normalize_epsilon(spec.normalize_epsilon);
  if (spec.normalize_min != defaults.normalize_min) message.set_normalize_min(spec.normalize_min);
  if (spec.scale != defaults.scale) message.set_scale(spec.scale);
  if (spec.scale_before_bias) message.set_scale_before_bias(true);
  return message;
}

}  // namespace evenkeel::config
