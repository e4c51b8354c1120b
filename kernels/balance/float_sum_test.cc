#include "kernels/balance/float_sum.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

FloatSum SumOf(const std::vector<float>& addends) {
  FloatSum sum = SumOfNone();
  for (const float addend : addends) sum = Plus(sum, addend);
  return sum;
}

bool AnyOrderOf(const std::vector<float>& addends) {
  return AnyOrder(SumOf(addends), static_cast<int>(addends.size()));
}

uint64_t Bits(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

TEST(FloatSumTest, ZerosSayNothing) {
  EXPECT_TRUE(AnyOrderOf({}));
  EXPECT_TRUE(AnyOrderOf({0.0f, -0.0f, 0.0f}));
  EXPECT_TRUE(AnyOrderOf({0.0f, 1e-30f}));
  EXPECT_EQ(Bits(SumOf({-0.0f, -0.0f}).sum), Bits(0.0));
}

// Of two addends, 53 bits hold exponents that are 28 apart: 24 bits of each, and a carry.
TEST(FloatSumTest, TheLimitIsADoublesPrecision) {
  EXPECT_TRUE(AnyOrderOf({0x1.fffffep28f, 0x1.fffffep0f}));
  EXPECT_FALSE(AnyOrderOf({0x1.fffffep29f, 0x1.fffffep0f}));
  EXPECT_TRUE(AnyOrderOf({-0x1p28f, 1.0f}));
  EXPECT_FALSE(AnyOrderOf({1.0f, -0x1p29f}));
  EXPECT_TRUE(AnyOrderOf(std::vector<float>(1024, 3.0f)));
}

TEST(FloatSumTest, SubnormalsHaveTheLeastExponent) {
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  EXPECT_TRUE(AnyOrderOf({kLeast, 0x1p-126f}));
  EXPECT_TRUE(AnyOrderOf({kLeast, 0x1p-98f}));
  EXPECT_FALSE(AnyOrderOf({kLeast, 0x1p-97f}));
}

// The sum of `addends` from the two ends inwards, and joined from two halves.
std::vector<double> SumsInOtherOrders(const std::vector<float>& addends) {
  const std::vector<float> backwards(addends.rbegin(), addends.rend());
  const auto middle = addends.begin() + static_cast<int64_t>(addends.size() / 2);
  const FloatSum halves = Join(SumOf({addends.begin(), middle}), SumOf({middle, addends.end()}));
  return {SumOf(backwards).sum, halves.sum};
}

TEST(FloatSumTest, WhereAnyOrderDoesEveryOrderHasTheSameBits) {
  int same = 0;
  int other = 0;
  for (int seed = 0; seed < 20000; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<float> addends(1 + random() % 300);
    const int range = 1 + static_cast<int>(random() % 40);
    for (float& addend : addends) {
      const float fraction = static_cast<float>(static_cast<int64_t>(random() >> 8) - (int64_t{1} << 55)) * 0x1p-55f;
      addend = std::ldexp(fraction, static_cast<int>(random() % range));
    }
    const double sum = SumOf(addends).sum;
    for (const double in_other_order : SumsInOtherOrders(addends)) {
      if (AnyOrderOf(addends)) {
        ASSERT_EQ(Bits(in_other_order), Bits(sum)) << "seed " << seed;
        ++same;
      } else {
        other += in_other_order != sum;
      }
    }
  }
  EXPECT_GT(same, 1000);
  EXPECT_GT(other, 1000);
}

}  // namespace
}  // namespace evenkeel::balance
