#include "kernels/balance/gauge.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

using testing::ElementsAre;

std::vector<double> Widened(const std::vector<float>& bias) { return {bias.begin(), bias.end()}; }

TEST(GaugeTest, TakesTheMeanOffEveryExpert) {
  EXPECT_EQ(OffCentre({7.0, 6.0, 5.0, 6.0}, {}), 6.0);
  EXPECT_THAT(Recentred({7.0, 6.0, 5.0, 6.0}, {}), ElementsAre(1.0f, 0.0f, -1.0f, 0.0f));
  EXPECT_THAT(Recentred({2.5, 2.5}, {}), ElementsAre(0.0f, 0.0f));
}

TEST(GaugeTest, TheMeanIsOfTheExpertsThatMove) {
  EXPECT_EQ(OffCentre({1.0, 3.0, -10.0}, {0.5f, 0.5f, -1.0f}), 2.0);
  EXPECT_THAT(Recentred({1.0, 3.0, -10.0}, {0.5f, 0.5f, -1.0f}), ElementsAre(-1.0f, 1.0f, -12.0f));
  EXPECT_EQ(OffCentre({1.0, 3.0}, {-1.0f, -1.0f}), 0.0);
}

TEST(GaugeTest, KeepsWhatFloat32WouldLoseFarFromZero) {
  // Beside 7, float32 would take 2^-23 to 0.
  EXPECT_THAT(Recentred({7.0 + 0x1p-23, 7.0 - 0x1p-23}, {}), ElementsAre(0x1p-23f, -0x1p-23f));
}

TEST(GaugeTest, WhatIsCentredKeepsItsBits) {
  std::mt19937 random(20251121);
  for (int round = 0; round < 300; ++round) {
    const size_t experts = 1 + random() % 300;
    std::normal_distribution<double> spread(static_cast<double>(random() % 20) - 10.0, 0.1 + random() % 4);
    std::vector<double> bias(experts);
    for (double& value : bias) value = spread(random);
    const std::vector<float> centred = Recentred(bias, {});
    EXPECT_EQ(Recentred(Widened(centred), {}), centred) << "round " << round << ", seed 20251121";
    const double sum = std::accumulate(centred.begin(), centred.end(), 0.0);
    EXPECT_NEAR(sum / static_cast<double>(experts), 0, 1e-6);
  }
}

TEST(GaugeTest, AfterThePositiveOffsetNoBiasIsBelowTheLeast) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::normal_distribution<float> spread(0, 0.001f * static_cast<float>(1 + random() % 3000));
    std::vector<float> bias(1 + random() % 300);
    for (float& value : bias) value = spread(random);
    const double offset = PositiveOffset(bias);
    const std::vector<float> shifted = Shifted(bias, offset);
    const float least = *std::min_element(shifted.begin(), shifted.end());
    EXPECT_GE(least, kLeastPositiveBias) << "round " << round << ", seed 7";
    EXPECT_TRUE(offset == 0 || least == kLeastPositiveBias) << least;
  }
}

TEST(GaugeTest, APositiveBiasIsLeftAlone) {
  EXPECT_EQ(PositiveOffset({2.02f, 3.0f}), 0);
  EXPECT_EQ(PositiveOffset({kLeastPositiveBias}), 0);
  EXPECT_EQ(PositiveOffset({}), 0);
  EXPECT_EQ(PositiveOffset({0.0f, 1.0f}), kLeastPositiveBias);
}

}  // namespace
}  // namespace evenkeel::balance
