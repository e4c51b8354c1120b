#include "kernels/routing/forced_balance.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

TEST(RoundRobinTest, SlotsGoOnWhereTheRowBeforeEnded) {
  constexpr int kTopK = 3;
  constexpr int kExperts = 7;
  int next = 0;
  for (int64_t row = 0; row < 20; ++row) {
    for (int slot = 0; slot < kTopK; ++slot) {
      EXPECT_EQ(RoundRobinExpert(row, slot, kTopK, kExperts), next);
      next = (next + 1) % kExperts;
    }
  }
}

TEST(RoundRobinTest, RowsBeyondThirtyTwoBits) {
  // (2^40 * 8 + 5) mod 60: 2^43 mod 60 is 8.
  EXPECT_EQ(RoundRobinExpert(int64_t{1} << 40, 5, 8, 60), 13);
}

TEST(RandomScoreTest, DependsOnSeedRowAndExpertOnly) {
  EXPECT_EQ(RandomScore(RandomRowKey(1, 2), 3), RandomScore(RandomRowKey(1, 2), 3));
  std::set<float> scores;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (int64_t row = 0; row < 10; ++row) {
      for (int expert = 0; expert < 10; ++expert) scores.insert(RandomScore(RandomRowKey(seed, row), expert));
    }
  }
  EXPECT_GE(scores.size(), 995);  // of 1000 draws from 2^24
}

// The definition, spelled out once: what another router must reproduce.
TEST(RandomScoreTest, KnownValues) {
  EXPECT_EQ(RandomRowKey(0, 0), 0xe220a8397b1dcdafu);  // SplitMix64 from seed 0, as published
  EXPECT_EQ(RandomRowKey(0, 1), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(RandomRowKey(0, 2), 0x06c45d188009454fu);
}

TEST(RandomScoreTest, UniformOverRowsAndOverExperts) {
  constexpr int kBins = 64;
  constexpr int kDraws = 64 * 1024;
  const auto chi_squared = [](const std::vector<int>& bins) {
    const double expected = static_cast<double>(kDraws) / kBins;
    double sum = 0;
    for (const int count : bins) sum += (count - expected) * (count - expected) / expected;
    return sum;
  };
  std::vector<int> over_rows(kBins);
  std::vector<int> over_experts(kBins);
  for (int i = 0; i < kDraws; ++i) {
    ++over_rows[static_cast<int>(RandomScore(RandomRowKey(5, i), 11) * kBins)];
    ++over_experts[static_cast<int>(RandomScore(RandomRowKey(5, i / 1024), i % 1024) * kBins)];
  }
  // 63 degrees of freedom: mean 63, deviation 11; 120 is five deviations up.
  EXPECT_LT(chi_squared(over_rows), 120);
  EXPECT_LT(chi_squared(over_experts), 120);
}

}  // namespace
}  // namespace evenkeel::routing
