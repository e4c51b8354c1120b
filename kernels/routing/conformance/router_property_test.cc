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
#include "kernels/routing/conformance/naive_router.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/half.h"

// Every router against the naive one, on random specs and rows. A failure prints the seed that repeats it.
namespace evenkeel::routing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

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

using RouterPropertyTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, RouterPropertyTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

// Against double, wherever rounding cannot decide.
TEST_P(RouterPropertyTest, AgreesWithDoubleOnRowsWithoutTies) {
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
TEST_P(RouterPropertyTest, AgreesExactlyOnRowsWithTiesAndOddValues) {
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

// Ids against float scores, for all that the generators know to be awkward.
TEST_P(RouterPropertyTest, SelectsExactlyOnEveryKindOfRowAndBias) {
  const int64_t kinds = RowKinds().size();
  for (uint32_t seed = 3000; seed < 3170; ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    Problem problem;
    problem.spec = spec;
    problem.logits = RowsOfEveryKind(random, spec.num_experts, kinds);
    problem.bias = RandomBias(random, spec.num_experts);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    const Routed routed = RouteAndCheck(problem);
    for (int64_t t = 0; t < kinds; ++t) {
      const NaiveIds naive = NaiveSelect(spec, problem.row(t), problem.bias, Precision::kFloat);
      ASSERT_EQ(routed.row_ids(t), naive.ids) << "row " << t << ", " << RowKinds()[t].name;
    }
  }
}

// Replaying what was routed, under any bias, gives the same weights, bit for bit: they cannot have seen the bias.
TEST_P(RouterPropertyTest, Pitfall18WeightsDependOnIdsAndNotOnTheBias) {
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

using FamiliesTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, FamiliesTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(FamiliesTest, Pitfall35AgreeWithDouble) {
  for (const auto& [name, spec] : Families()) {
    ASSERT_TRUE(Validate(spec).ok()) << name << ": " << Validate(spec);
    int routed_rows = 0;
    for (uint32_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(absl::StrCat(name, ", seed ", seed));
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
    EXPECT_GT(routed_rows, 32) << name;  // of 128
  }
}

TEST_P(FamiliesTest, NormalisedWeightsAddUpToTheScale) {
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
