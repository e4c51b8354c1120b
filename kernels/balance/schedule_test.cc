#include "kernels/balance/schedule.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

using Kind = Schedule::Kind;

BalanceConfig Config(double rate, Schedule schedule) {
  BalanceConfig config;
  config.rate = rate;
  config.schedule = std::move(schedule);
  return config;
}

constexpr uint64_t kForEver = std::numeric_limits<uint64_t>::max();

TEST(ScheduleTest, Constant) {
  const BalanceConfig config = Config(0.01, {});
  for (const uint64_t position : {uint64_t{1}, uint64_t{1000}, kForEver}) EXPECT_EQ(RateAt(config, position), 0.01);
}

TEST(ScheduleTest, LinearIsFlatOutsideAndExactAtItsEnds) {
  const BalanceConfig config = Config(0.01, {Kind::kLinear, 100, 200, 0.1, {}});
  for (const uint64_t position : {1, 99, 100}) EXPECT_EQ(RateAt(config, position), 0.01);
  for (const uint64_t position : {uint64_t{200}, uint64_t{201}, kForEver}) {
    EXPECT_EQ(RateAt(config, position), 0.01 * 0.1);
  }
  EXPECT_NEAR(RateAt(config, 101), 0.01 * 0.991, 1e-17);
  EXPECT_NEAR(RateAt(config, 150), 0.01 * 0.55, 1e-17);
  EXPECT_NEAR(RateAt(config, 199), 0.01 * 0.109, 1e-17);
}

TEST(ScheduleTest, LinearMayRise) {
  const BalanceConfig config = Config(1, {Kind::kLinear, 0, 4, 3, {}});
  EXPECT_EQ(RateAt(config, 1), 1.5);
  EXPECT_EQ(RateAt(config, 2), 2.0);
  EXPECT_EQ(RateAt(config, 3), 2.5);
}

TEST(ScheduleTest, CosineIsTheCosine) {
  constexpr uint64_t kLength = 20011;
  const BalanceConfig config = Config(1, {Kind::kCosine, 1000, 1000 + kLength, 0, {}});
  const long double pi = std::acos(-1.0L);
  for (uint64_t i = 0; i <= kLength; ++i) {
    const double want = static_cast<double>((1 + std::cos(pi * i / kLength)) / 2);
    ASSERT_NEAR(RateAt(config, 1000 + i), want, 4e-16) << i;
  }
}

TEST(ScheduleTest, CosineFallsAllTheWay) {
  const BalanceConfig config = Config(1, {Kind::kCosine, 0, 5000, 0.25, {}});
  for (uint64_t position = 1; position <= 5000; ++position) {
    ASSERT_LT(RateAt(config, position), RateAt(config, position - 1)) << position;
  }
  EXPECT_EQ(RateAt(config, 0), 1);
  EXPECT_EQ(RateAt(config, 5000), 0.25);
  EXPECT_EQ(RateAt(config, kForEver), 0.25);
}

// The same bits on every host: values from the same operations in another language's IEEE doubles.
TEST(ScheduleTest, CosineBits) {
  const BalanceConfig config = Config(1, {Kind::kCosine, 0, 7, 0, {}});
  const double want[] = {1,
                         0x1.e6a5e54e5ae38p-1,
                         0x1.9f9d07145f6e9p-1,
                         0x1.38f721c6048b1p-1,
                         0x1.8e11bc73f6e9ep-2,
                         0x1.818be3ae8245dp-3,
                         0x1.95a1ab1a51c7ep-5,
                         0};
  for (uint64_t position = 0; position <= 7; ++position) {
    EXPECT_EQ(RateAt(config, position), want[position]) << std::hexfloat << RateAt(config, position);
  }
}

TEST(ScheduleTest, StepsHoldTheLastPointReached) {
  const BalanceConfig config = Config(2, {Kind::kSteps, 0, 0, 0, {{10, 0.5}, {20, 0.25}, {30, 0}}});
  for (const uint64_t position : {1, 9}) EXPECT_EQ(RateAt(config, position), 2);
  for (const uint64_t position : {10, 19}) EXPECT_EQ(RateAt(config, position), 1);
  for (const uint64_t position : {20, 29}) EXPECT_EQ(RateAt(config, position), 0.5);
  for (const uint64_t position : {uint64_t{30}, kForEver}) EXPECT_EQ(RateAt(config, position), 0);
}

TEST(ScheduleTest, ToZeroSwitchesOff) {
  const BalanceConfig config = Config(1e-3, {Kind::kToZero, 100, 0, 0, {}});
  for (const uint64_t position : {1, 99}) EXPECT_EQ(RateAt(config, position), 1e-3);
  for (const uint64_t position : {uint64_t{100}, uint64_t{101}, kForEver}) EXPECT_EQ(RateAt(config, position), 0);
}

}  // namespace
}  // namespace evenkeel::balance
