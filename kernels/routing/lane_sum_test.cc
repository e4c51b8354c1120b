#include "kernels/routing/lane_sum.h"

#include <algorithm>
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

  // Lane 3 holds elements 3 and 35 and adds them before any other lane comes in.
  values[3] = kBig;
  values[35] = -kBig;
  values[19] = 1;
  EXPECT_EQ(LaneSum(values.data(), values.size()), 1);

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

// The definition read as a recursion: node (l, d) is node (l, 2d) + node (l + d, 2d).
float Tree(const std::vector<float>& values, int lane, int distance) {
  if (distance < kLanes) return Tree(values, lane, 2 * distance) + Tree(values, lane + distance, 2 * distance);
  float sum = 0;
  for (size_t i = lane; i < values.size(); i += kLanes) sum += values[i];
  return sum;
}

TEST(LaneSumTest, AgreesWithTheRecursion) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 1e3);
  for (int size = 0; size < 300; ++size) {
    std::vector<float> values(size);
    for (float& value : values) value = normal(random);
    EXPECT_EQ(LaneSum(values.data(), size), Tree(values, 0, 1)) << size;
  }
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
