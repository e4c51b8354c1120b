#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"

// Rows worked by hand, for every router.
namespace evenkeel::routing {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

constexpr float kTolerance = 1e-6f;

// Four experts whose odds e^x are 1, 3, 1/3 and 9, in sum 40/3.
const std::vector<float> kLogits = {0, std::log(3.0f), -std::log(3.0f), std::log(9.0f)};

RouteSpec FourExperts(Score score, Weight weight) {
  RouteSpec spec;
  spec.num_experts = 4;
  spec.top_k = 2;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

struct ScoreCase {
  Score score;
  std::vector<float> scores;  // of the four experts
};

const std::vector<ScoreCase> kScoreCases = {
    {Score::kSigmoid, {0.5f, 0.75f, 0.25f, 0.9f}},
    {Score::kSoftmax, {0.075f, 0.225f, 0.025f, 0.675f}},
    // softplus = log(1 + odds)
    {Score::kSqrtSoftplus,
     {std::sqrt(std::log(2.0f)), std::sqrt(std::log(4.0f)), std::sqrt(std::log(4.0f / 3)), std::sqrt(std::log(10.0f))}},
    {Score::kLogit, kLogits},
};

struct WeightCase {
  Weight weight;
  std::vector<float> weights;  // of the experts 2 and 3 when these are chosen; kScore: taken from the scores
};

const std::vector<WeightCase> kWeightCases = {
    {Weight::kScore, {}},
    {Weight::kSoftmax, {0.025f, 0.675f}},
    {Weight::kSoftmaxOfSelected, {1.0f / 28, 27.0f / 28}},  // odds 1/3 : 9
    {Weight::kSigmoidOfSelected, {0.25f, 0.9f}},
};

using RowTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, RowTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(RowTest, WithoutBiasTheBestScoresWinInEveryMode) {
  for (const ScoreCase& score : kScoreCases) {
    for (const WeightCase& weight : kWeightCases) {
      const Routed routed = RouteRow(FourExperts(score.score, weight.weight), kLogits);
      EXPECT_THAT(routed.ids, ElementsAre(3, 1)) << Describe(FourExperts(score.score, weight.weight));
      EXPECT_THAT(routed.counts, ElementsAre(0, 1, 0, 1));
    }
  }
}

// A bias of 5 puts expert 2, the worst, first. The weights know nothing of it.
TEST_P(RowTest, TheBiasSelectsAndTheUnbiasedValuesWeigh) {
  const std::vector<float> bias = {0, 0, 5, 0};
  for (const ScoreCase& score : kScoreCases) {
    for (const WeightCase& weight : kWeightCases) {
      const RouteSpec spec = FourExperts(score.score, weight.weight);
      std::vector<float> expected = weight.weights;
      if (weight.weight == Weight::kScore) expected = {score.scores[2], score.scores[3]};
      const Routed routed = RouteRow(spec, kLogits, bias);
      EXPECT_THAT(routed.ids, ElementsAre(2, 3)) << Describe(spec);
      EXPECT_THAT(routed.weights, Pointwise(FloatNear(kTolerance), expected)) << Describe(spec);

      RouteSpec normalized = spec;
      normalized.normalize = true;
      normalized.scale = 2.5f;
      const float sum = expected[0] + expected[1];
      for (float& value : expected) value = value / sum * 2.5f;
      EXPECT_THAT(RouteRow(normalized, kLogits, bias).weights, Pointwise(FloatNear(1e-5f), expected))
          << Describe(normalized);
    }
  }
}

TEST_P(RowTest, EpsilonIsAddedAndMinimumIsAFloor) {
  RouteSpec spec = FourExperts(Score::kSigmoid, Weight::kScore);  // chosen: 0.9 and 0.75
  spec.normalize = true;
  spec.normalize_epsilon = 0.35f;
  EXPECT_THAT(RouteRow(spec, kLogits).weights,
              ElementsAre(FloatNear(0.45f, kTolerance), FloatNear(0.375f, kTolerance)));  // / 2
  spec.normalize_min = 3;
  EXPECT_THAT(RouteRow(spec, kLogits).weights,
              ElementsAre(FloatNear(0.3f, kTolerance), FloatNear(0.25f, kTolerance)));  // / 3
  spec.normalize_min = 1;
  EXPECT_THAT(RouteRow(spec, kLogits).weights,
              ElementsAre(FloatNear(0.45f, kTolerance), FloatNear(0.375f, kTolerance)));  // / 2 again
}

TEST_P(RowTest, ScaleBeforeBiasScalesWhatTheBiasMeets) {
  // Scores 0.5, 0.75, 0.25, 0.9. A bias of 1 on expert 0 beats 0.9 unscaled (1.5), but not 10 times as much (6 < 9).
  RouteSpec spec = FourExperts(Score::kSigmoid, Weight::kScore);
  spec.scale = 10;
  const std::vector<float> bias = {1, 0, 0, 0};
  EXPECT_THAT(RouteRow(spec, kLogits, bias).ids, ElementsAre(0, 3));
  EXPECT_THAT(RouteRow(spec, kLogits, bias).weights, ElementsAre(FloatNear(5, 1e-5f), FloatNear(9, 1e-5f)));

  spec.scale_before_bias = true;
  EXPECT_THAT(RouteRow(spec, kLogits, bias).ids, ElementsAre(3, 1));
  EXPECT_THAT(RouteRow(spec, kLogits, bias).weights, ElementsAre(FloatNear(9, 1e-5f), FloatNear(7.5f, 1e-5f)));

  // Normalised, the scale falls out and does not come back.
  spec.normalize = true;
  EXPECT_THAT(RouteRow(spec, kLogits, bias).weights,
              ElementsAre(FloatNear(0.9f / 1.65f, kTolerance), FloatNear(0.75f / 1.65f, kTolerance)));

  // Weights that are not the score are scaled at the end.
  spec.normalize = false;
  spec.weight = Weight::kSigmoidOfSelected;
  EXPECT_THAT(RouteRow(spec, kLogits, bias).weights, ElementsAre(FloatNear(9, 1e-5f), FloatNear(7.5f, 1e-5f)));
}

// Three groups of three, of which each kind of group score prefers another.
//   group 0: 5, 0, 0      best 5, best two 5,   all 5
//   group 1: 4, 3, -9     best 4, best two 7,   all -2
//   group 2: 3, 2.5, 2    best 3, best two 5.5, all 7.5
const std::vector<float> kThreeGroups = {0, 5, 0, 3, 4, -9, 2, 2.5, 3};

RouteSpec ThreeGroups(GroupScore group_score) {
  RouteSpec spec;
  spec.num_experts = 9;
  spec.top_k = 3;
  spec.score = Score::kLogit;
  spec.num_groups = 3;
  spec.top_groups = 1;
  spec.group_score = group_score;
  return spec;
}

TEST_P(RowTest, GroupScores) {
  EXPECT_THAT(RouteRow(ThreeGroups(GroupScore::kMax), kThreeGroups).ids, ElementsAre(1, 0, 2));
  EXPECT_THAT(RouteRow(ThreeGroups(GroupScore::kTop2Sum), kThreeGroups).ids, ElementsAre(4, 3, 5));
  EXPECT_THAT(RouteRow(ThreeGroups(GroupScore::kTopkSum), kThreeGroups).ids, ElementsAre(8, 7, 6));
}

TEST_P(RowTest, TopkSumTakesTopKOverTopGroups) {
  RouteSpec spec = ThreeGroups(GroupScore::kTopkSum);
  spec.top_groups = 2;  // floor(3 / 2) = 1 expert a group: groups 0 and 1
  EXPECT_THAT(RouteRow(spec, kThreeGroups).ids, ElementsAre(1, 4, 3));
}

TEST_P(RowTest, SeveralGroupsKept) {
  RouteSpec spec = ThreeGroups(GroupScore::kTop2Sum);
  spec.top_groups = 2;  // groups 1 and 2
  EXPECT_THAT(RouteRow(spec, kThreeGroups).ids, ElementsAre(4, 3, 8));
  spec.top_groups = 3;
  EXPECT_THAT(RouteRow(spec, kThreeGroups).ids, ElementsAre(1, 4, 3));
}

TEST_P(RowTest, GroupsAreScoredWithTheBiasOrWithout) {
  RouteSpec spec = ThreeGroups(GroupScore::kMax);
  const std::vector<float> bias = {0, 0, 0, 0, 0, 0, 0, 0, 3};  // expert 8: 6 with its bias
  EXPECT_THAT(RouteRow(spec, kThreeGroups, bias).ids, ElementsAre(8, 7, 6));
  spec.group_score_biased = false;
  EXPECT_THAT(RouteRow(spec, kThreeGroups, bias).ids, ElementsAre(1, 0, 2));
}

TEST_P(RowTest, Pitfall17DroppedGroupsAreMinusInfinityUnlessAskedToBeZero) {
  // Biased scores of the kept group 0 are 5, -1, -2.
  const std::vector<float> logits = {-1, 5, -2, 3, 4, -9, 2, 2.5, 3};
  RouteSpec spec = ThreeGroups(GroupScore::kMax);
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(1, 0, 2));
  // As zeros the dropped ones beat what is negative; of equals the lowest id comes first. Weights are unbiased scores.
  spec.dropped_group_fill = DroppedGroupFill::kZero;
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(1, 3, 4));
  EXPECT_THAT(RouteRow(spec, logits).weights, ElementsAre(5, 3, 4));
}

TEST_P(RowTest, EqualGroupsTheLowestWins) {
  RouteSpec spec = ThreeGroups(GroupScore::kTop2Sum);
  const std::vector<float> logits = {1, 2, 3, 3, 2, 0, 0, 4, 1};  // 5 each
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(2, 1, 0));
}

// Two equal maxima are two experts: a rule that removes "all equal to the best" would take 4 + 1.
TEST_P(RowTest, TwoEqualMaximaInOneGroup) {
  RouteSpec spec = ThreeGroups(GroupScore::kTop2Sum);
  const std::vector<float> logits = {4, 4, 1, 5, 2.5, 2, 0, 0, 0};  // 8 against 7.5
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(0, 1, 2));
}

TEST_P(RowTest, GroupsWithFewCandidates) {
  const float nan = std::nanf("");
  RouteSpec spec = ThreeGroups(GroupScore::kTop2Sum);
  // Group 0 has one candidate and scores what it has, 9. Group 1 has none and is last, below even -20.
  const std::vector<float> logits = {nan, 9, nan, nan, nan, nan, -10, -10, -10};
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(1, -1, -1));
  spec.top_groups = 2;
  EXPECT_THAT(RouteRow(spec, logits).ids, ElementsAre(1, 6, 7));
  // A group whose sum overflows to minus infinity has candidates all the same.
  const std::vector<float> low = {nan, nan, nan, nan, nan, nan, -3e38f, -3e38f, -3e38f};
  EXPECT_THAT(RouteRow(spec, low).ids, ElementsAre(6, 7, 8));
}

TEST_P(RowTest, RefusesAndWritesNothing) {
  Problem problem;
  problem.spec = FourExperts(Score::kSigmoid, Weight::kScore);
  problem.logits = kLogits;
  std::vector<int32_t> ids = {7, 7};
  std::vector<uint64_t> counts(4, 7);
  RouteStats stats{7, 7};
  RouteOutput output;
  output.ids = ids.data();
  output.ids_stride = 1;
  output.counts = counts.data();
  const absl::Status status = Route(problem.spec, InputOf(problem), output, &stats);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("ids_stride = 1:"));
  EXPECT_THAT(ids, ElementsAre(7, 7));
  EXPECT_THAT(counts, ElementsAre(7, 7, 7, 7));
  EXPECT_EQ(stats.valid_rows, 7);
}

}  // namespace
}  // namespace evenkeel::routing
