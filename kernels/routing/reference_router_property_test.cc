#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/half.h"
#include "kernels/routing/naive_router.h"
#include "kernels/routing/router_testing.h"

// The reference against the naive router, on random specs and rows. A failure prints the seed that repeats it.
namespace evenkeel::routing {
namespace {

constexpr int kExpertCounts[] = {7, 8, 16, 60, 64, 128, 144, 160, 192, 256, 288, 384, 512, 576, 768, 896, 1024};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Value>
Value Pick(std::mt19937& random, std::initializer_list<Value> values) {
  return values.begin()[random() % values.size()];
}

void AddGroups(std::mt19937& random, RouteSpec& spec) {
  std::vector<int> divisors;
  for (int d = 2; d <= spec.num_experts; ++d) {
    if (spec.num_experts % d == 0) divisors.push_back(d);
  }
  spec.num_groups = divisors[random() % divisors.size()];
  spec.top_groups = 1 + static_cast<int>(random() % spec.num_groups);
  spec.group_score = Pick(random, {GroupScore::kTop2Sum, GroupScore::kMax, GroupScore::kTopkSum});
  spec.group_score_biased = random() % 3 != 0;
  spec.dropped_group_fill = Pick(random, {DroppedGroupFill::kNegInf, DroppedGroupFill::kZero});
}

RouteSpec RandomSpec(std::mt19937& random, int num_experts) {
  for (;;) {
    RouteSpec spec;
    spec.num_experts = num_experts;
    spec.top_k = 1 + static_cast<int>(random() % std::min(num_experts, 32));
    spec.score = Pick(random, {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit});
    spec.weight =
        Pick(random, {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected});
    if (random() % 2 == 0) AddGroups(random, spec);
    spec.normalize = random() % 2 == 0;
    spec.normalize_epsilon = Pick(random, {0.0f, 1e-20f, 1e-6f});
    spec.normalize_min = Pick(random, {0.0f, 1e-12f});
    spec.scale = Pick(random, {1.0f, 2.5f, 0.3f});
    spec.scale_before_bias = random() % 4 == 0;
    if (Validate(spec).ok()) return spec;
  }
}

Problem RandomProblem(std::mt19937& random, const RouteSpec& spec, int rows) {
  Problem problem;
  problem.spec = spec;
  std::normal_distribution<float> normal(Pick(random, {0.0f, -3.0f}), Pick(random, {0.5f, 2.0f, 6.0f}));
  problem.logits.resize(static_cast<size_t>(rows) * spec.num_experts);
  for (float& logit : problem.logits) logit = normal(random);
  const float offset = Pick(random, {0.0f, 7.0f, -5.0f});
  const float spread = Pick(random, {0.0f, 1e-3f, 0.3f});
  std::uniform_real_distribution<float> uniform(-spread, spread);
  if (random() % 4 != 0) {
    for (int e = 0; e < spec.num_experts; ++e) problem.bias.push_back(offset + uniform(random));
  }
  return problem;
}

// Ids must be those of `naive` exactly; weights must be near.
void ExpectRow(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<int32_t>& expected_ids,
               const std::vector<int32_t>& ids, const std::vector<float>& weights) {
  ASSERT_EQ(ids, expected_ids);
  const NaiveWeights naive = NaiveWeigh(spec, logits, ids);
  if (naive.condition > 100) return;  // a sum of logits that cancels
  for (int slot = 0; slot < spec.top_k; ++slot) {
    const double expected = naive.weights[slot];
    if (std::fabs(expected) > std::numeric_limits<float>::max()) {
      ASSERT_EQ(weights[slot], std::copysign(kInfinity, expected)) << "slot " << slot;
      continue;
    }
    ASSERT_NEAR(weights[slot], expected, naive.condition * std::fabs(expected) * 1e-5 + 1e-37) << "slot " << slot;
  }
}

// Against double, wherever rounding cannot decide.
TEST(ReferenceRouterPropertyTest, AgreesWithDoubleOnRowsWithoutTies) {
  int64_t rows = 0;
  int64_t skipped = 0;
  for (uint32_t seed = 0; seed < 340; ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    const Problem problem = RandomProblem(random, spec, 8);
    const Routed routed = RouteAndCheck(problem);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      const NaiveIds naive = NaiveSelect(spec, problem.row(t), problem.bias, Precision::kDouble);
      ++rows;
      if (naive.margin < 4e-6) {
        ++skipped;
        continue;
      }
      ExpectRow(spec, problem.row(t), naive.ids, routed.row_ids(t), routed.row_weights(t));
      if (HasFatalFailure()) FAIL() << "row " << t;
    }
  }
  std::printf("%ld of %ld rows were too near a tie\n", static_cast<long>(skipped), static_cast<long>(rows));
  EXPECT_LT(skipped, rows / 4);
}

// Against float scores, on every row: ties, infinities, NaN, masks.
TEST(ReferenceRouterPropertyTest, AgreesExactlyOnRowsWithTiesAndOddValues) {
  for (uint32_t seed = 1000; seed < 1340; ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    Problem problem = RandomProblem(random, spec, 8);
    for (float& logit : problem.logits) logit = FloatFromBFloat16(BFloat16FromFloat(logit));
    for (float& bias : problem.bias) bias = FloatFromBFloat16(BFloat16FromFloat(bias));
    for (int i = 0; i < 6; ++i) {
      const float odd = Pick(random, {kInfinity, -kInfinity, std::nanf(""), 0.0f, -0.0f, 3e38f, -3e38f, 1e-30f});
      problem.logits[random() % problem.logits.size()] = odd;
      if (!problem.bias.empty() && i < 2) problem.bias[random() % spec.num_experts] = odd;
    }
    for (int t = 0; t < 8; ++t) problem.valid.push_back(random() % 8 != 0);
    const Routed routed = RouteAndCheck(problem);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      if (problem.valid[t] == 0) continue;
      const NaiveIds naive = NaiveSelect(spec, problem.row(t), problem.bias, Precision::kFloat);
      ExpectRow(spec, problem.row(t), naive.ids, routed.row_ids(t), routed.row_weights(t));
      if (HasFatalFailure()) FAIL() << "row " << t;
    }
  }
}

// Replaying what was routed, under any bias, gives the same weights, bit for bit: they cannot have seen the bias.
TEST(ReferenceRouterPropertyTest, WeightsDependOnIdsAndNotOnTheBias) {
  for (uint32_t seed = 2000; seed < 2085; ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    Problem problem = RandomProblem(random, spec, 8);
    const Routed routed = RouteAndCheck(problem);
    problem.replay = routed.ids;
    for (float& bias : problem.bias) bias += 100;
    const Routed replayed = RouteAndCheck(problem);
    EXPECT_EQ(replayed.ids, routed.ids);
    EXPECT_EQ(replayed.weights, routed.weights);
    EXPECT_EQ(replayed.counts, routed.counts);
    EXPECT_EQ(replayed.stats.short_slots, routed.stats.short_slots);
  }
}

class FamilyTest : public testing::TestWithParam<Family> {};

TEST_P(FamilyTest, AgreesWithDouble) {
  const RouteSpec& spec = GetParam().spec;
  ASSERT_TRUE(Validate(spec).ok()) << Validate(spec);
  int routed_rows = 0;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const Problem problem = RandomProblem(random, spec, 16);
    const Routed routed = RouteAndCheck(problem);
    EXPECT_EQ(routed.stats.short_slots, 0);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      const NaiveIds naive = NaiveSelect(spec, problem.row(t), problem.bias, Precision::kDouble);
      if (naive.margin < 4e-6) continue;
      ++routed_rows;
      ExpectRow(spec, problem.row(t), naive.ids, routed.row_ids(t), routed.row_weights(t));
      if (HasFatalFailure()) FAIL() << "row " << t;
    }
  }
  EXPECT_GT(routed_rows, 32);  // of 128
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyTest, testing::ValuesIn(Families()),
                         [](const testing::TestParamInfo<Family>& info) { return info.param.name; });

TEST(FamiliesTest, NormalisedWeightsAddUpToTheScale) {
  int normalized = 0;
  for (const auto& [name, spec] : Families()) {
    if (!spec.normalize && spec.weight != Weight::kSoftmaxOfSelected) continue;
    ++normalized;
    std::mt19937 random(3);
    const Problem problem = RandomProblem(random, spec, 32);
    const Routed routed = RouteAndCheck(problem);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      double sum = 0;
      for (const float weight : routed.row_weights(t)) sum += weight;
      EXPECT_NEAR(sum, spec.scale, spec.scale * 1e-6) << name << ", row " << t;
    }
  }
  EXPECT_EQ(normalized, 6);
}

}  // namespace
}  // namespace evenkeel::routing
