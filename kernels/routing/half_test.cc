#include "kernels/routing/half.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

// A 16-bit format: sign, exponent bits, mantissa bits.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  float (*to_float)(uint16_t);
  uint16_t (*from_float)(float);

  uint16_t Infinity() const { return static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits); }

  // The value of a finite, positive pattern, from the definition of the format. The pattern of infinity gives the
  // number that would come next if the exponent went on.
  double Value(uint16_t bits) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> mantissa_bits;
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    if (exponent == 0) return std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  }
};

class HalfTest : public testing::TestWithParam<Format> {};

TEST_P(HalfTest, ToFloatIsExact) {
  const Format& format = GetParam();
  for (uint16_t bits = 0; bits < format.Infinity(); ++bits) {
    ASSERT_EQ(format.to_float(bits), format.Value(bits)) << bits;
    ASSERT_EQ(format.to_float(bits | 0x8000u), -format.Value(bits)) << bits;
  }
  EXPECT_TRUE(std::signbit(format.to_float(0x8000)));
  EXPECT_EQ(format.to_float(format.Infinity()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(format.to_float(format.Infinity() | 0x8000u), -std::numeric_limits<float>::infinity());
  for (uint32_t bits = format.Infinity() + 1u; bits <= 0x7fff; ++bits) {
    ASSERT_TRUE(std::isnan(format.to_float(bits))) << bits;
  }
}

TEST_P(HalfTest, FromFloatRoundsToNearestEven) {
  const Format& format = GetParam();
  for (uint16_t bits = 0; bits < format.Infinity(); ++bits) {
    const float value = static_cast<float>(format.Value(bits));
    ASSERT_EQ(format.from_float(value), bits) << bits;
    ASSERT_EQ(format.from_float(-value), bits | 0x8000u) << bits;
    // Both formats' midpoints are floats. The last one is where infinity begins.
    const float midpoint = static_cast<float>((format.Value(bits) + format.Value(bits + 1)) / 2);
    const uint16_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(format.from_float(midpoint), even) << bits;
    ASSERT_EQ(format.from_float(std::nextafter(midpoint, 0.0f)), bits) << bits;
    ASSERT_EQ(format.from_float(std::nextafter(midpoint, INFINITY)), bits + 1) << bits;
    ASSERT_EQ(format.from_float(-midpoint), even | 0x8000u) << bits;
  }
  EXPECT_EQ(format.from_float(std::numeric_limits<float>::max()), format.Infinity());
  EXPECT_EQ(format.from_float(INFINITY), format.Infinity());
  EXPECT_EQ(format.from_float(-INFINITY), format.Infinity() | 0x8000u);
}

TEST_P(HalfTest, NanStaysNan) {
  const Format& format = GetParam();
  for (const uint32_t nan : {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0xff800001u}) {
    EXPECT_TRUE(std::isnan(format.to_float(format.from_float(ieee::FromBits(nan))))) << nan;
  }
}

INSTANTIATE_TEST_SUITE_P(BFloat16, HalfTest, testing::Values(Format{8, 7, FloatFromBFloat16, BFloat16FromFloat}));
INSTANTIATE_TEST_SUITE_P(Half, HalfTest, testing::Values(Format{5, 10, FloatFromHalf, HalfFromFloat}));

}  // namespace
}  // namespace evenkeel::routing
