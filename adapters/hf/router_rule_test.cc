#include "adapters/hf/router_rule.h"

#include <string>

#include "adapters/hf/parsed_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::hf {
namespace {

using routing::DroppedGroupFill;
using routing::GroupScore;
using routing::RouteSpec;
using routing::Score;
using routing::Weight;
using testing::HasSubstr;

// What a test of one column leaves alone in the others.
Family Plain(Scoring scoring) {
  return {{"any"}, AllLayers(), scoring, NoGroups(), NotNormalized(), NotScaled(), Router()};
}

Family Biased(Family family) {
  family.modules = GateWithBias();
  return family;
}

absl::StatusOr<RouterRule> Read(const Family& family, absl::string_view json) {
  return ReadRouterRule(family, *ParsedConfig(json));
}

RouteSpec Spec(const Family& family, absl::string_view json = "{}", int num_experts = 16, int top_k = 2) {
  const ParsedConfig config(json);
  const auto rule = ReadRouterRule(family, *config);
  EXPECT_TRUE(rule.ok()) << rule.status();
  if (!rule.ok()) return {};
  const auto spec = SpecOfSize(*rule, *config, num_experts, top_k);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(RouteSpec());
}

std::string Error(const Family& family, absl::string_view json) {
  return std::string(Read(family, json).status().message());
}

struct Space {
  Score score;
  Weight weight;
  bool normalize;
  bool operator==(const Space& other) const {
    return score == other.score && weight == other.weight && normalize == other.normalize;
  }
};
Space SpaceOf(Family family, Normalizing normalizing) {
  family.normalizing = normalizing;
  const RouteSpec spec = Spec(family);
  return {spec.score, spec.weight, spec.normalize};
}

TEST(RouterRuleTest, AFamilyWithABiasKeepsItsSpace) {
  for (const Normalizing& normalizing : {NotNormalized(), Normalized(1e-20f)}) {
    const bool normalize = normalizing.when != Normalizing::When::kNever;
    EXPECT_EQ(SpaceOf(Biased(Plain(Sigmoid())), normalizing), (Space{Score::kSigmoid, Weight::kScore, normalize}));
    EXPECT_EQ(SpaceOf(Biased(Plain(Softmax())), normalizing), (Space{Score::kSoftmax, Weight::kScore, normalize}));
    EXPECT_EQ(SpaceOf(Biased(Plain({Score::kSqrtSoftplus})), normalizing),
              (Space{Score::kSqrtSoftplus, Weight::kScore, normalize}));
  }
}

TEST(RouterRuleTest, Pitfall19ASoftmaxWithoutABiasGetsItOnItsLogits) {
  EXPECT_EQ(SpaceOf(Plain(Softmax()), NotNormalized()), (Space{Score::kLogit, Weight::kSoftmax, false}));
  EXPECT_EQ(SpaceOf(Plain(Softmax()), Normalized(1e-20f)), (Space{Score::kLogit, Weight::kSoftmaxOfSelected, false}));
  EXPECT_EQ(SpaceOf(Plain(TopKThenSoftmax()), Normalized()), (Space{Score::kLogit, Weight::kSoftmaxOfSelected, false}));
  EXPECT_EQ(SpaceOf(Plain(TopKThenSigmoid()), NotNormalized()),
            (Space{Score::kLogit, Weight::kSigmoidOfSelected, false}));
  EXPECT_EQ(SpaceOf(Plain(TopKThenSigmoid()), Normalized()), (Space{Score::kLogit, Weight::kSigmoidOfSelected, true}));
  EXPECT_EQ(SpaceOf(Plain(Sigmoid()), Normalized()), (Space{Score::kSigmoid, Weight::kScore, true}));
}

TEST(RouterRuleTest, GroupsByTheMaximumAreTheSameOnLogitsAndBySumsAreNot) {
  const absl::string_view groups = R"({"n_group": 4, "topk_group": 2, "topk_method": "group_limited_greedy"})";
  Family family = Plain(Softmax());
  family.grouping = MaxGroupsByTopkMethod();
  EXPECT_EQ(Spec(family, groups).score, Score::kLogit);
  EXPECT_EQ(Spec(family, groups).group_score, GroupScore::kMax);
  // 0 would put every expert with a negative logit behind those of the dropped groups.
  EXPECT_EQ(Spec(family, groups).dropped_group_fill, DroppedGroupFill::kNegInf);
  EXPECT_EQ(Read(family, groups)->note, "");

  family.grouping = Top2Groups(1, 1);
  EXPECT_EQ(Spec(family).score, Score::kLogit);
  EXPECT_EQ(Spec(family, groups).score, Score::kSoftmax);
  EXPECT_EQ(Spec(family, groups).weight, Weight::kScore);
  EXPECT_THAT(Read(family, groups)->note, HasSubstr("the bias is on the probabilities"));
}

TEST(RouterRuleTest, TheScoreMayBeAFieldsWord) {
  const Family family = Biased(Plain(ScoreBy("score_function", Score::kSigmoid)));
  EXPECT_EQ(Spec(family).score, Score::kSigmoid);
  EXPECT_EQ(Spec(family, R"({"score_function": "softmax"})").score, Score::kSoftmax);
  EXPECT_THAT(Error(family, R"({"score_function": "sqrtsoftplus"})"),
              HasSubstr("score_function: \"sqrtsoftplus\" is none of sigmoid, softmax"));
  const Family activation = Biased(Plain(ActivationBy("scoring_func", Score::kSqrtSoftplus)));
  EXPECT_EQ(Spec(activation).score, Score::kSqrtSoftplus);
  EXPECT_EQ(Spec(activation, R"({"scoring_func": "sigmoid"})").score, Score::kSigmoid);
  EXPECT_THAT(Error(activation, R"({"scoring_func": "softmax"})"),
              HasSubstr("scoring_func: \"softmax\" is none of sigmoid, sqrtsoftplus"));
  const Family selected = Plain(TopKThen("expert_selection_fn", Score::kSoftmax));
  EXPECT_EQ(Spec(selected).weight, Weight::kSoftmaxOfSelected);
  EXPECT_EQ(Spec(selected, R"({"expert_selection_fn": "sigmoid"})").weight, Weight::kSigmoidOfSelected);
}

TEST(RouterRuleTest, AConfigMayNotContradictItsFamilysScore) {
  const Family family = Biased(Plain(Sigmoid()));
  EXPECT_EQ(Error(family, R"({"scoring_func": "softmax"})"),
            "c.json:1:18: scoring_func: \"softmax\" is not what this model_type computes");
  EXPECT_TRUE(Read(family, R"({"scoring_func": "sigmoid"})").ok());
  EXPECT_TRUE(Read(family, R"({"scoring_func": "noaux_tc"})").ok()) << "dots1's word, which says something else";
}

TEST(RouterRuleTest, GroupsAreReadByAllTheirNamesAndMayBeOff) {
  Family family = Biased(Plain(Sigmoid()));
  family.grouping = Top2Groups(8, 4);
  EXPECT_EQ(Spec(family).num_groups, 8);
  EXPECT_EQ(Spec(family).top_groups, 4);
  EXPECT_EQ(Spec(family, R"({"num_expert_group": 2, "topk_group": 1})").num_groups, 2);
  for (const char* off : {R"({"n_group": 1})", R"({"n_group": 0})", R"({"n_group": -1})", R"({"n_group": null})",
                          R"({"n_group": 1, "topk_group": 4})"}) {
    EXPECT_FALSE(GroupsActive(Spec(family, off))) << off;
  }
  EXPECT_THAT(Error(family, R"({"n_group": 4, "topk_group": 5})"), HasSubstr("topk_group: 5 is not in [1, 4]"));
  EXPECT_THAT(Error(family, R"({"n_group": -2})"), HasSubstr("n_group: -2 is not in [-1, "));

  family.grouping = Top2Groups(0, 0, DroppedGroupFill::kZero);
  EXPECT_FALSE(GroupsActive(Spec(family)));
  EXPECT_EQ(Spec(family, R"({"n_group": 4, "topk_group": 2})").dropped_group_fill, DroppedGroupFill::kZero);
  EXPECT_THAT(Error(family, R"({"n_group": 4})"), HasSubstr("topk_group: missing"));
  EXPECT_FALSE(GroupsActive(Spec(Plain(Sigmoid()), R"({"n_group": 4, "topk_group": 2})")))
      << "no groups in this family";
}

TEST(RouterRuleTest, GroupsMayHangOnTheMethod) {
  Family family = Plain(Softmax());
  family.grouping = MaxGroupsByTopkMethod();
  EXPECT_FALSE(GroupsActive(Spec(family, R"({"n_group": 4, "topk_group": 2})")));
  EXPECT_FALSE(GroupsActive(Spec(family, R"({"n_group": 4, "topk_group": 2, "topk_method": "greedy"})")));
  EXPECT_THAT(Error(family, R"({"topk_method": "noaux_tc"})"),
              HasSubstr("topk_method: \"noaux_tc\" is none of greedy, group_limited_greedy"));
  EXPECT_THAT(Error(family, R"({"topk_method": "group_limited_greedy"})"), HasSubstr("n_group: missing"));
}

TEST(RouterRuleTest, AMissingFlagIsTheFamilysOwnDefault) {
  Family family = Biased(Plain(Sigmoid()));
  for (const bool otherwise : {false, true}) {
    family.normalizing = NormalizedByFlag(otherwise, 1e-6f);
    EXPECT_EQ(Spec(family).normalize, otherwise);
    EXPECT_EQ(Spec(family, R"({"norm_topk_prob": null})").normalize, otherwise);
    EXPECT_TRUE(Spec(family, R"({"norm_topk_prob": true})").normalize);
    EXPECT_FALSE(Spec(family, R"({"moe_renormalize": false})").normalize);
  }
  EXPECT_EQ(Spec(family).normalize_epsilon, 1e-6f);
  family.normalizing = Normalized();
  EXPECT_TRUE(Spec(family, R"({"norm_topk_prob": false})").normalize) << "a family that always normalises";
}

TEST(RouterRuleTest, NormalizingHasItsVariants) {
  Family family = Biased(Plain(Sigmoid()));
  family.normalizing = NormalizedAtLeast("moe_norm_min", 1e-12f);
  EXPECT_EQ(Spec(family).normalize_min, 1e-12f);
  EXPECT_EQ(Spec(family, R"({"moe_norm_min": 0.5})").normalize_min, 0.5f);
  family.normalizing = NormalizedByFlagAboveOne(true, 1e-20f);
  EXPECT_TRUE(Spec(family, "{}", 16, 2).normalize);
  EXPECT_FALSE(Spec(family, "{}", 16, 1).normalize);
  family.modules = Router();
  family.scoring = Softmax();
  EXPECT_EQ(Spec(family, "{}", 16, 2).weight, Weight::kSoftmaxOfSelected);
  EXPECT_EQ(Spec(family, "{}", 16, 1).weight, Weight::kSoftmax);
}

TEST(RouterRuleTest, ScalesAreOfTheWeightsOrOfTheOutput) {
  Family family = Biased(Plain(Sigmoid()));
  family.scaling = Scaled("factor", 2.5f);
  EXPECT_EQ(Spec(family).scale, 2.5f);
  EXPECT_EQ(Spec(family, R"({"factor": 2.826})").scale, 2.826f);
  EXPECT_EQ(Read(family, R"({"factor": 2.826})")->output_scale, 1);
  for (const char* bad : {"0", "-1", "1e-50", "Infinity", "NaN", "\"2\""}) {
    EXPECT_THAT(Error(family, absl::StrCat("{\"factor\": ", bad, "}")), HasSubstr("factor: ")) << bad;
  }
  family.scaling = OutputScaled("factor", 2);
  EXPECT_EQ(Spec(family).scale, 1);
  EXPECT_EQ(Read(family, "{}")->output_scale, 2);
  family.scaling = DividedByTopK();
  EXPECT_EQ(Spec(family, "{}", 16, 4).scale, 0.25f);
}

TEST(RouterRuleTest, TheBiasMayHangOnAFlag) {
  Family family = Plain(Softmax());
  family.modules = RouterAndBiasByFlag("gate", "bias", "use_bias", true);
  EXPECT_TRUE(Read(family, "{}")->has_bias);
  EXPECT_EQ(Spec(family).score, Score::kSoftmax);
  EXPECT_FALSE(Read(family, R"({"use_bias": false})")->has_bias);
  EXPECT_EQ(Spec(family, R"({"use_bias": false})").score, Score::kLogit);
}

TEST(RouterRuleTest, ASoftCapIsOutsideRouteSpec) {
  Family family = Biased(Plain(Sigmoid()));
  family.model_types = Names("capped");
  family.quirks.soft_cap_field = "cap";
  EXPECT_TRUE(Read(family, R"({"cap": 0.0})").ok());
  const absl::Status status = Read(family, R"({"cap": 30.0})").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(), "c.json:1:9: cap: capped caps its logits softly here, which a RouteSpec cannot express");
}

TEST(RouterRuleTest, WeightsMayScaleTheInput) {
  Family family = Plain(TopKThenSigmoid());
  EXPECT_FALSE(Read(family, "{}")->weights_scale_input);
  family.quirks.weights_scale_input_field = "on_input";
  EXPECT_TRUE(Read(family, R"({"on_input": true})")->weights_scale_input);
  family.quirks.weights_scale_input = true;
  family.quirks.weights_scale_input_field = "";
  EXPECT_TRUE(Read(family, "{}")->weights_scale_input);
}

TEST(RouterRuleTest, WhatIsNoValidRouterIsRefused) {
  Family family = Biased(Plain(Sigmoid()));
  family.grouping = Top2Groups(8, 1);
  const ParsedConfig config("{}");
  const auto rule = ReadRouterRule(family, *config);
  ASSERT_TRUE(rule.ok());
  EXPECT_THAT(SpecOfSize(*rule, *config, 16, 3).status().message(),
              HasSubstr("n_group: no valid router: top_k = 3: must be at most the 2 experts"));
  EXPECT_THAT(SpecOfSize(*rule, *config, 17, 1).status().message(), HasSubstr("num_groups = 8: must"));
}

}  // namespace
}  // namespace evenkeel::hf
