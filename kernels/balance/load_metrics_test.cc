#include "kernels/balance/load_metrics.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

void ExpectAllZero(const LoadMetrics& metrics) {
  EXPECT_EQ(metrics.max_violation, 0);
  EXPECT_EQ(metrics.min_violation, 0);
  EXPECT_EQ(metrics.avg_violation, 0);
  EXPECT_EQ(metrics.cv, 0);
  EXPECT_EQ(metrics.entropy, 0);
  EXPECT_EQ(metrics.dead, 0);
  EXPECT_EQ(metrics.starved, 0);
}

void ExpectPerfectlyEven(const LoadMetrics& metrics) {
  EXPECT_EQ(metrics.max_violation, 0);
  EXPECT_EQ(metrics.min_violation, 0);
  EXPECT_EQ(metrics.avg_violation, 0);
  EXPECT_EQ(metrics.cv, 0);
  EXPECT_NEAR(metrics.entropy, 1, 1e-14);
  EXPECT_LE(metrics.entropy, 1);
  EXPECT_EQ(metrics.dead, 0);
  EXPECT_EQ(metrics.starved, 0);
}

// (largest - mean) / mean, as in arXiv 2408.15664; the smallest and the mean beside it.
TEST(LoadMetricsTest, Pitfall31MaxViolationIsThatOfThePaper) {
  const LoadMetrics metrics = ComputeLoadMetrics({10, 0, 4, 4, 6, 4, 4, 0});
  EXPECT_DOUBLE_EQ(metrics.max_violation, 1.5);
  EXPECT_DOUBLE_EQ(metrics.min_violation, -1.0);
  EXPECT_DOUBLE_EQ(metrics.avg_violation, 0.5);
  EXPECT_DOUBLE_EQ(metrics.cv, 0.75);
  EXPECT_NEAR(metrics.entropy, 0.8257390004874943, 1e-14);
  EXPECT_EQ(metrics.dead, 2);
  EXPECT_EQ(metrics.starved, 2);
}

TEST(LoadMetricsTest, ViolationsAloneAreTheSame) {
  constexpr unsigned kSeed = 4;
  std::mt19937_64 random(kSeed);
  for (int n = 1; n <= 64; ++n) {
    std::vector<uint64_t> counts(n);
    for (uint64_t& count : counts) count = random() % 1000;
    std::vector<float> target(n);
    for (float& share : target) share = random() % 3 == 0 ? -1.F : 1.F / static_cast<float>(n);
    for (const std::vector<float>& wanted : {std::vector<float>(), target}) {
      const LoadMetrics metrics = ComputeLoadMetrics(counts, wanted);
      const Violations violations = ComputeViolations(counts, wanted);
      EXPECT_NEAR(violations.max, metrics.max_violation, 1e-12) << n << " experts, seed " << kSeed;
      EXPECT_NEAR(violations.avg, metrics.avg_violation, 1e-12) << n << " experts, seed " << kSeed;
    }
  }
  EXPECT_EQ(ComputeViolations({0, 0}).max, 0);
  EXPECT_EQ(ComputeViolations({0, 0}).avg, 0);
}

TEST(LoadMetricsTest, OneExpertTakesMost) {
  const LoadMetrics metrics = ComputeLoadMetrics({20, 4, 4, 4, 0, 0, 0, 0});
  EXPECT_DOUBLE_EQ(metrics.max_violation, 4.0);
  EXPECT_EQ(metrics.dead, 4);
}

TEST(LoadMetricsTest, OneExpertTakesAll) {
  const LoadMetrics metrics = ComputeLoadMetrics({0, 9, 0});
  EXPECT_DOUBLE_EQ(metrics.max_violation, 2.0);
  EXPECT_DOUBLE_EQ(metrics.avg_violation, 4.0 / 3);
  EXPECT_DOUBLE_EQ(metrics.cv, std::sqrt(2.0));
  EXPECT_EQ(metrics.entropy, 0);
}

TEST(LoadMetricsTest, StarvedIsBelowATenthOfTheMean) {
  // Mean 100: 10 is not below a tenth, 9 is, and so is the dead one.
  const LoadMetrics metrics = ComputeLoadMetrics({10, 9, 0, 381});
  EXPECT_EQ(metrics.dead, 1);
  EXPECT_EQ(metrics.starved, 2);
}

TEST(LoadMetricsTest, EvenLoad) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{123456789}, uint64_t{1} << 40}) {
    ExpectPerfectlyEven(ComputeLoadMetrics(std::vector<uint64_t>(256, count)));
  }
}

TEST(LoadMetricsTest, ASingleExpertIsEven) { ExpectPerfectlyEven(ComputeLoadMetrics({7})); }

TEST(LoadMetricsTest, WithoutCountsAllAreZero) {
  ExpectAllZero(ComputeLoadMetrics({}));
  ExpectAllZero(ComputeLoadMetrics({0}));
  ExpectAllZero(ComputeLoadMetrics({0, 0, 0}));
  ExpectAllZero(ComputeLoadMetrics({0, 0, 0}, {0.5f, 0.25f, 0.25f}));
}

TEST(LoadMetricsTest, WithATargetLoadIsCountOverWantedCount) {
  // Sum 80, wanted 40, 20, 20: loads 1.5, 0.5, 0.5.
  const LoadMetrics metrics = ComputeLoadMetrics({60, 10, 10}, {0.5f, 0.25f, 0.25f});
  EXPECT_DOUBLE_EQ(metrics.max_violation, 0.5);
  EXPECT_DOUBLE_EQ(metrics.min_violation, -0.5);
  EXPECT_DOUBLE_EQ(metrics.avg_violation, 0.5);
  EXPECT_DOUBLE_EQ(metrics.cv, std::sqrt(2.0) / 2.5);
  const double entropy = -(0.6 * std::log(0.6) + 2 * 0.2 * std::log(0.2)) / std::log(3.0);
  EXPECT_NEAR(metrics.entropy, entropy, 1e-14);
}

TEST(LoadMetricsTest, ExpertsWithoutAWantedCountAreLeftOutButInTheSum) {
  // Six experts are to have an eighth each of 24; two that compute nothing take the rest.
  const LoadMetrics metrics =
      ComputeLoadMetrics({5, 1, 3, 3, 3, 3, 6, 0}, {0.125f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, -1, 0});
  EXPECT_DOUBLE_EQ(metrics.max_violation, 2.0 / 3);
  EXPECT_DOUBLE_EQ(metrics.min_violation, -2.0 / 3);
  EXPECT_EQ(metrics.dead, 0);
  EXPECT_EQ(metrics.starved, 0);
}

TEST(LoadMetricsTest, AllTokensAtExpertsThatAreLeftOut) {
  const LoadMetrics metrics = ComputeLoadMetrics({0, 0, 8}, {0.25f, 0.25f, -1});
  EXPECT_EQ(metrics.max_violation, -1);
  EXPECT_EQ(metrics.min_violation, -1);
  EXPECT_EQ(metrics.avg_violation, 1);
  EXPECT_EQ(metrics.cv, 0);
  EXPECT_EQ(metrics.entropy, 0);
  EXPECT_EQ(metrics.dead, 2);
  EXPECT_EQ(metrics.starved, 2);
  ExpectAllZero(ComputeLoadMetrics({3, 5}, {-1, 0}));
}

TEST(LoadMetricsTest, LargeCounts) {
  const uint64_t most = uint64_t{1} << 48;
  std::vector<uint64_t> counts(16384, 0);
  counts[5] = most;
  const LoadMetrics metrics = ComputeLoadMetrics(counts);
  EXPECT_EQ(metrics.max_violation, 16383);
  EXPECT_EQ(metrics.dead, 16383);
}

TEST(LoadMetricsDeathTest, SizesMustAgree) { EXPECT_DEATH(ComputeLoadMetrics({1, 2}, {1.0f}), "size of the target"); }

TEST(LoadMetricsTest, MaxViolationAloneIsTheSameToTheBit) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint64_t> counts(1 + random() % 300);
    std::vector<float> target(counts.size());
    for (uint64_t& count : counts) count = round % 7 == 0 ? random() >> 17 : random() % (1 + round);
    for (float& share : target) share = static_cast<float>(random() % 5) / 100 - 0.01f;
    EXPECT_EQ(MaxViolation(counts), ComputeLoadMetrics(counts).max_violation) << "round " << round;
    EXPECT_EQ(MaxViolation(counts, target), ComputeLoadMetrics(counts, target).max_violation) << "round " << round;
  }
  EXPECT_EQ(MaxViolation({0, 0}), 0);
  EXPECT_EQ(MaxViolation({3, 4}, {-1, 0}), 0);
}

}  // namespace
}  // namespace evenkeel::balance
