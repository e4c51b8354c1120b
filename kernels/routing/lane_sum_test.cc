#include "kernels/routing/lane_sum.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

TEST(LaneSumTest, SmallIntegersAreExact) {
  for (const int size : {0, 1, 2, 31, 32, 33, 64, 100, 1024}) {
    std::vector<float> values(size);
    std::iota(values.begin(), values.end(), 1.0f);
    EXPECT_EQ(LaneSum(values.data(), size), size * (size + 1) / 2) << size;
  }
}

// 1e8 + 1 - 1e8 is 0 or 1 by the order: these rows say which elements meet first.
TEST(LaneSumTest, OrderIsPartOfTheDefinition) {
  constexpr float kBig = 1e8f;
  std::vector<float> values(kLanes * 2, 0.0f);

  // Elements 3 and 35 are the same lane, and meet before any other lane comes in.
  values[3] = kBig;
  values[35] = -kBig;
  values[19] = 1;
  EXPECT_EQ(LaneSum(values.data(), values.size()), 1);

  // Of four blocks, 0 and 2 meet first, then 0 and 1; of three, too.
  for (const int blocks : {3, 4}) {
    values.assign(kLanes * blocks, 0.0f);
    values[3] = kBig;
    values[3 + 2 * kLanes] = -kBig;
    values[3 + kLanes] = 1;
    EXPECT_EQ(LaneSum(values.data(), values.size()), 1);
    std::swap(values[3 + kLanes], values[3 + 2 * kLanes]);
    EXPECT_EQ(LaneSum(values.data(), values.size()), 0);
  }

  // Lane 19 comes to lane 3 in the first round of the tree, lane 11 in the second.
  values.assign(kLanes, 0.0f);
  values[3] = kBig;
  values[19] = -kBig;
  values[11] = 1;
  EXPECT_EQ(LaneSum(values.data(), kLanes), 1);
  std::swap(values[11], values[19]);
  EXPECT_EQ(LaneSum(values.data(), kLanes), 0);

  // The last round joins lanes 0 and 1.
  values.assign(kLanes, 0.0f);
  values[0] = kBig;
  values[2] = 1;
  values[1] = -kBig;
  EXPECT_EQ(LaneSum(values.data(), kLanes), 0);
  std::swap(values[1], values[2]);
  EXPECT_EQ(LaneSum(values.data(), kLanes), 1);
}

// The definition, word by word, in place.
float Tree(std::vector<float> values) {
  values.resize((values.size() + kLanes - 1) / kLanes * kLanes, 0.0f);
  size_t power = kLanes;
  while (power < values.size()) power *= 2;
  values.resize(power, -0.0f);  // what is added where there is no block: nothing
  for (size_t d = power / 2; d > 0; d /= 2) {
    for (size_t i = 0; i < d; ++i) values[i] += values[i + d];
  }
  return values[0];
}

TEST(LaneSumTest, AgreesWithTheTree) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 1e3);
  for (int size = 0; size < 1100; size += 1 + size / 64) {
    std::vector<float> values(size);
    for (float& value : values) value = normal(random);
    EXPECT_EQ(LaneSum(values.data(), size), Tree(values)) << size;
  }
}

TEST(LaneSumTest, FirstBlockDistanceIsHalfAPowerOfTwo) {
  const int expected[] = {0, 0, 1, 2, 2, 4, 4, 4, 4, 8};
  for (int blocks = 1; blocks < 10; ++blocks) EXPECT_EQ(FirstBlockDistance(blocks), expected[blocks]) << blocks;
}

// A great addend and many small ones, each near half an ulp of it: one after another, they would be lost.
TEST(LaneSumTest, SmallAddendsAreNotLost) {
  std::vector<float> values(1024, 0x1.fp-25f);
  values[0] = 1;
  const double exact = 1 + 1023 * 0x1.fp-25;
  EXPECT_LE(std::fabs(LaneSum(values.data(), values.size()) - exact), 12 * 0x1p-24);
}

TEST(LaneSumTest, ZerosAtTheEndChangeNothing) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> values(45);
  for (float& value : values) value = normal(random);
  const float sum = LaneSum(values.data(), values.size());
  values.resize(64, 0.0f);
  EXPECT_EQ(LaneSum(values.data(), values.size()), sum);
}

}  // namespace
}  // namespace evenkeel::routing
