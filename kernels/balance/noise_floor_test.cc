#include "kernels/balance/noise_floor.h"

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/balance/load_metrics.h"

namespace evenkeel::balance {
namespace {

// The mean max_violation of `steps` steps, every token of which draws its experts without replacement: what an even
// router does, done.
double Simulated(int num_experts, int top_k, int tokens, int steps, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<int> experts(num_experts);
  for (int i = 0; i < num_experts; ++i) experts[i] = i;
  double sum = 0;
  for (int step = 0; step < steps; ++step) {
    std::vector<uint64_t> counts(num_experts);
    for (int token = 0; token < tokens; ++token) {
      for (int k = 0; k < top_k; ++k) {
        std::swap(experts[k], experts[k + random() % (num_experts - k)]);
        ++counts[experts[k]];
      }
    }
    sum += MaxViolation(counts);
  }
  return sum / steps;
}

TEST(NoiseFloorTest, IsWhatAnEvenRouterShows) {
  struct Case {
    int num_experts, top_k, tokens, steps;
    double tolerance;
  };
  constexpr unsigned kSeed = 8;
  for (const Case& c : {Case{64, 6, 16384, 40, .03}, Case{256, 8, 4096, 40, .03}, Case{8, 2, 512, 1000, .03},
                        Case{2, 1, 1000, 2000, .05}, Case{64, 8, 32, 2000, .03}, Case{16, 15, 400, 1000, .05},
                        Case{256, 8, 128, 400, .03}, Case{256, 1, 256, 400, .10}, Case{512, 4, 128, 400, .10}}) {
    const double simulated = Simulated(c.num_experts, c.top_k, c.tokens, c.steps, kSeed);
    EXPECT_NEAR(NoiseFloor(c.num_experts, c.top_k, c.tokens) / simulated, 1, c.tolerance)
        << c.num_experts << " experts, top " << c.top_k << ", " << c.tokens << " tokens, seed " << kSeed << ": "
        << simulated;
  }
}

TEST(NoiseFloorTest, IsThatOfTheFieldsExperience) { EXPECT_NEAR(NoiseFloor(64, 6, 16384), .058, .001); }

TEST(NoiseFloorTest, IsNothingWhereNothingIsLeftToChance) {
  EXPECT_EQ(NoiseFloor(8, 2, 0), 0);
  EXPECT_EQ(NoiseFloor(8, 8, 1000), 0);
  EXPECT_EQ(NoiseFloor(1, 1, 1000), 0);
  EXPECT_EQ(NoiseFloor(4, 1, 1000, {-1, -1, -1, -1}), 0);
  EXPECT_EQ(NoiseFloor(4, 1, 1000, {-1, 1, -1, -1}), 0);
}

TEST(NoiseFloorTest, AnEvenTargetIsNone) {
  EXPECT_DOUBLE_EQ(NoiseFloor(8, 2, 1000, std::vector<float>(8, .125F)), NoiseFloor(8, 2, 1000));
  // Experts that are only counted take no part.
  std::vector<float> half(16, -1);
  std::fill(half.begin(), half.begin() + 8, .125F);
  EXPECT_DOUBLE_EQ(NoiseFloor(16, 2, 1000, half), NoiseFloor(8, 2, 1000));
}

TEST(NoiseFloorTest, AnUnevenTargetScattersMore) {
  EXPECT_GT(NoiseFloor(4, 1, 1000, {.05F, .05F, .45F, .45F}), NoiseFloor(4, 1, 1000));
}

}  // namespace
}  // namespace evenkeel::balance
