#include "config/route_spec.h"

#include <limits>
#include <string>

#include "config/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

using testing::HasSubstr;

absl::StatusOr<routing::RouteSpec> FromText(absl::string_view text) {
  v1::RouteSpec message;
  const absl::Status status = ParseText(text, "t", &message);
  EXPECT_TRUE(status.ok()) << status;
  return RouteSpecFromProto(message);
}

TEST(RouteSpecTest, AbsentFieldsHaveTheirDefaults) {
  const routing::RouteSpec spec = FromText("{num_experts: 8, top_k: 2}").value();
  EXPECT_EQ(spec.num_experts, 8);
  EXPECT_EQ(spec.top_k, 2);
  EXPECT_EQ(spec.score, routing::Score::kSigmoid);
  EXPECT_EQ(spec.weight, routing::Weight::kScore);
  EXPECT_FALSE(routing::GroupsActive(spec));
  EXPECT_EQ(spec.group_score, routing::GroupScore::kTop2Sum);
  EXPECT_TRUE(spec.group_score_biased);
  EXPECT_EQ(spec.dropped_group_fill, routing::DroppedGroupFill::kNegInf);
  EXPECT_FALSE(spec.normalize);
  EXPECT_EQ(spec.normalize_epsilon, 0);
  EXPECT_EQ(spec.normalize_min, 0);
  EXPECT_EQ(spec.scale, 1);
  EXPECT_FALSE(spec.scale_before_bias);
}

TEST(RouteSpecTest, EveryFieldArrives) {
  const routing::RouteSpec spec =
      FromText(
          "{num_experts: 16, top_k: 4, score: LOGIT, weight: SOFTMAX_OF_SELECTED, num_groups: 4, top_groups: 2, "
          "group_score: TOPK_SUM, group_score_biased: false, dropped_group_fill: ZERO, normalize: true, "
          "normalize_epsilon: 1e-20, normalize_min: 1e-9, scale: 2.5, scale_before_bias: true}")
          .value();
  EXPECT_EQ(spec.num_experts, 16);
  EXPECT_EQ(spec.top_k, 4);
  EXPECT_EQ(spec.score, routing::Score::kLogit);
  EXPECT_EQ(spec.weight, routing::Weight::kSoftmaxOfSelected);
  EXPECT_EQ(spec.num_groups, 4);
  EXPECT_EQ(spec.top_groups, 2);
  EXPECT_EQ(spec.group_score, routing::GroupScore::kTopkSum);
  EXPECT_FALSE(spec.group_score_biased);
  EXPECT_EQ(spec.dropped_group_fill, routing::DroppedGroupFill::kZero);
  EXPECT_TRUE(spec.normalize);
  EXPECT_EQ(spec.normalize_epsilon, 1e-20f);
  EXPECT_EQ(spec.normalize_min, 1e-9f);
  EXPECT_EQ(spec.scale, 2.5f);
  EXPECT_TRUE(spec.scale_before_bias);
}

TEST(RouteSpecTest, EveryWordOfTheWireHasItsMeaning) {
  const auto score = [](absl::string_view word) {
    return FromText("{num_experts: 8, top_k: 2, score: " + std::string(word) + "}").value().score;
  };
  EXPECT_EQ(score("SIGMOID"), routing::Score::kSigmoid);
  EXPECT_EQ(score("SOFTMAX"), routing::Score::kSoftmax);
  EXPECT_EQ(score("SQRT_SOFTPLUS"), routing::Score::kSqrtSoftplus);
  EXPECT_EQ(score("LOGIT"), routing::Score::kLogit);
  const auto weight = [](absl::string_view word) {
    return FromText("{num_experts: 8, top_k: 2, weight: " + std::string(word) + "}").value().weight;
  };
  EXPECT_EQ(weight("SCORE"), routing::Weight::kScore);
  EXPECT_EQ(weight("SOFTMAX"), routing::Weight::kSoftmax);
  EXPECT_EQ(weight("SOFTMAX_OF_SELECTED"), routing::Weight::kSoftmaxOfSelected);
  EXPECT_EQ(weight("SIGMOID_OF_SELECTED"), routing::Weight::kSigmoidOfSelected);
  const auto group_score = [](absl::string_view word) {
    return FromText("{num_experts: 8, top_k: 2, group_score: " + std::string(word) + "}").value().group_score;
  };
  EXPECT_EQ(group_score("TOP2_SUM"), routing::GroupScore::kTop2Sum);
  EXPECT_EQ(group_score("MAX"), routing::GroupScore::kMax);
  EXPECT_EQ(group_score("TOPK_SUM"), routing::GroupScore::kTopkSum);
  const auto fill = [](absl::string_view word) {
    return FromText("{num_experts: 8, top_k: 2, dropped_group_fill: " + std::string(word) + "}")
        .value()
        .dropped_group_fill;
  };
  EXPECT_EQ(fill("NEG_INF"), routing::DroppedGroupFill::kNegInf);
  EXPECT_EQ(fill("ZERO"), routing::DroppedGroupFill::kZero);
}

TEST(RouteSpecTest, RefusalsNameFieldAndValue) {
  const struct {
    absl::string_view text;
    absl::string_view field;
    absl::string_view value;
  } kCases[] = {
      {"{}", "num_experts", "missing"},
      {"num_experts: 8", "top_k", "missing"},
      {"top_k: 8", "num_experts", "missing"},
      {"{num_experts: 8, top_k: 9}", "top_k", "9"},
      {"{num_experts: 0, top_k: 0}", "num_experts", "0"},
      {"{num_experts: 8, top_k: 2, num_groups: 3}", "num_groups", "3"},
      {"{num_experts: 8, top_k: 2, num_groups: 4}", "top_groups", "0"},
      {"{num_experts: 8, top_k: 2, scale: 0}", "scale", "0"},
      {"{num_experts: 8, top_k: 2, normalize_epsilon: -1}", "normalize_epsilon", "-1"},
      {"{num_experts: 8, top_k: 2, score: FUNCTION_UNSPECIFIED}", "score", "FUNCTION_UNSPECIFIED"},
      {"{num_experts: 8, top_k: 2, weight: FUNCTION_UNSPECIFIED}", "weight", "FUNCTION_UNSPECIFIED"},
      {"{num_experts: 8, top_k: 2, group_score: FUNCTION_UNSPECIFIED}", "group_score", "FUNCTION_UNSPECIFIED"},
      {"{num_experts: 8, top_k: 2, dropped_group_fill: VALUE_UNSPECIFIED}", "dropped_group_fill", "VALUE_UNSPECIFIED"},
  };
  for (const auto& c : kCases) {
    const absl::Status status = FromText(c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field)) << c.text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.value)) << c.text;
  }
}

TEST(RouteSpecTest, NanFromTheWireIsRefused) {
  v1::RouteSpec message;
  message.set_num_experts(8);
  message.set_top_k(2);
  message.set_scale(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(std::string(RouteSpecFromProto(message).status().message()), HasSubstr("scale = nan"));
}

TEST(RouteSpecTest, ToProtoIsTheInverse) {
  for (const absl::string_view text :
       {"{num_experts: 8, top_k: 2, score: SIGMOID, weight: SCORE}",
        "{num_experts: 8, top_k: 2, score: LOGIT, weight: SOFTMAX_OF_SELECTED, scale: 2.826}",
        "{num_experts: 8, top_k: 2, score: SQRT_SOFTPLUS, weight: SOFTMAX, normalize_min: 1e-9}",
        "{num_experts: 16, top_k: 4, score: SOFTMAX, weight: SIGMOID_OF_SELECTED, num_groups: 4, top_groups: 2, "
        "group_score: TOPK_SUM, group_score_biased: false, dropped_group_fill: ZERO, normalize: true, "
        "normalize_epsilon: 1e-20, normalize_min: 1e-9, scale: 2.5, scale_before_bias: true}"}) {
    v1::RouteSpec message;
    ASSERT_TRUE(ParseText(text, "t", &message).ok());
    EXPECT_EQ(RouteSpecToProto(RouteSpecFromProto(message).value()).DebugString(), message.DebugString());
  }
}

TEST(RouteSpecTest, ToProtoSaysNothingAboutGroupsThatAreOff) {
  routing::RouteSpec spec = FromText("{num_experts: 8, top_k: 2, num_groups: 1, top_groups: 1}").value();
  const v1::RouteSpec message = RouteSpecToProto(spec);
  EXPECT_FALSE(message.has_num_groups());
  EXPECT_FALSE(message.has_top_groups());
  EXPECT_FALSE(message.has_group_score());
}

}  // namespace
}  // namespace evenkeel::config
