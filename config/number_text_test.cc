#include "config/number_text.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

template <typename Integer>
std::string Integral(absl::string_view text) {
  Integer value = 77;
  const absl::Status status = ParseInteger(text, &value);
  if (status.ok()) return absl::StrCat(value);
  EXPECT_EQ(value, 77) << "changed by the refused " << text;
  return std::string(status.message());
}

TEST(NumberTextTest, EveryFormOfAnIntegralValueIsAnInteger) {
  EXPECT_EQ(Integral<int32_t>("0"), "0");
  EXPECT_EQ(Integral<int32_t>("-0"), "0");
  EXPECT_EQ(Integral<uint32_t>("-0.0e7"), "0");
  EXPECT_EQ(Integral<int32_t>("1e3"), "1000");
  EXPECT_EQ(Integral<int32_t>("1.5E+3"), "1500");
  EXPECT_EQ(Integral<int32_t>("1000.000"), "1000");
  EXPECT_EQ(Integral<int32_t>("120000e-4"), "12");
  EXPECT_EQ(Integral<int32_t>("0.00012e5"), "12");
  EXPECT_EQ(Integral<int32_t>("-12.50e1"), "-125");
}

TEST(NumberTextTest, IntegersAreExactToTheirBounds) {
  EXPECT_EQ(Integral<int32_t>("2147483647"), "2147483647");
  EXPECT_EQ(Integral<int32_t>("-2147483648"), "-2147483648");
  EXPECT_EQ(Integral<int32_t>("2147483648"), "is out of the range of int32");
  EXPECT_EQ(Integral<int64_t>("-9.223372036854775808e18"), "-9223372036854775808");
  EXPECT_EQ(Integral<int64_t>("9223372036854775808"), "is out of the range of int64");
  EXPECT_EQ(Integral<uint32_t>("4294967295.0"), "4294967295");
  EXPECT_EQ(Integral<uint32_t>("4294967296"), "is out of the range of uint32");
  EXPECT_EQ(Integral<uint64_t>("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Integral<uint64_t>("1.8446744073709551615e19"), "18446744073709551615");
  EXPECT_EQ(Integral<uint64_t>("18446744073709551616"), "is out of the range of uint64");
  EXPECT_EQ(Integral<uint64_t>("-1"), "is out of the range of uint64");
  EXPECT_EQ(Integral<uint64_t>("1e999999999999999999999"), "is out of the range of uint64");
  EXPECT_EQ(Integral<uint64_t>("1e2147483647"), "is out of the range of uint64");
}

TEST(NumberTextTest, FractionsAreNoIntegersHoweverSmall) {
  for (const absl::string_view text : {"0.5", "1e-1", "4503599627370496.4", "0.99999999999999999999", "1e-999999999999",
                                       "9223372036854775806.5", "10e-2"}) {
    EXPECT_EQ(Integral<int64_t>(text), "is not an integer") << text;
  }
}

TEST(NumberTextTest, WhatJsonDoesNotWriteIsNoNumber) {
  for (const absl::string_view text :
       {"",     " ",   "-",     "+1",    "01", "-01", "1.", ".5",  "-.5",  "1e",  "1e+",   "e5",      "1.e5",
        "0x10", "0o7", "1_000", "1,000", " 1", "1 ",  "1f", "one", "true", "--1", "1.2.3", "\xd9\xa1"}) {
    double value = 7;
    EXPECT_FALSE(IsNumber(text)) << text;
    EXPECT_EQ(Integral<int64_t>(text), "is not an integer") << text;
    EXPECT_EQ(ParseFloat(text, &value).message(), "is not a number") << text;
    EXPECT_EQ(value, 7);
  }
}

TEST(NumberTextTest, NanAndInfinityAreRefusedInEverySpelling) {
  for (const absl::string_view text : {"nan", "NaN", ".nan", ".NaN", "-nan", "inf", "-inf", "+inf", ".inf", "-.INF",
                                       "+.Inf", "Infinity", "-Infinity", "infinity"}) {
    float value = 7;
    EXPECT_EQ(ParseFloat(text, &value).message(), "is not a finite number") << text;
    EXPECT_EQ(value, 7);
    EXPECT_EQ(Integral<int64_t>(text), "is not an integer") << text;
  }
}

TEST(NumberTextTest, FloatsThatOverOrUnderflowAreRefused) {
  float value = 7;
  double wide = 7;
  EXPECT_EQ(ParseFloat("3.5e38", &value).message(), "is out of the range of float32");
  EXPECT_EQ(ParseFloat("-1e400", &wide).message(), "is out of the range of float64");
  EXPECT_EQ(ParseFloat("1e-60", &value).message(), "is out of the range of float32");
  EXPECT_EQ(ParseFloat("1e-400", &wide).message(), "is out of the range of float64");
  EXPECT_EQ(value, 7);
  EXPECT_EQ(wide, 7);
  ASSERT_TRUE(ParseFloat("3.4028235e38", &value).ok());
  EXPECT_EQ(value, std::numeric_limits<float>::max());
  ASSERT_TRUE(ParseFloat("1e-45", &value).ok());
  EXPECT_EQ(value, std::numeric_limits<float>::denorm_min());
  ASSERT_TRUE(ParseFloat("0e-999", &value).ok());
  EXPECT_EQ(value, 0);
}

TEST(NumberTextTest, AFloatIsRoundedOnce) {
  // Just above the middle between 1 and the next float32; as a double it is the middle, and would then go to even.
  float value = 0;
  ASSERT_TRUE(ParseFloat("1.00000005960464477539062500000001", &value).ok());
  EXPECT_EQ(value, std::nextafter(1.0f, 2.0f));
}

TEST(NumberTextTest, ReadsBackEveryFloatThatPrintfWrites) {
  std::mt19937_64 random(20240817);  // the seed: a failure is the same each time
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random();
    double wanted;
    static_assert(sizeof(wanted) == sizeof(bits));
    std::memcpy(&wanted, &bits, sizeof(bits));
    if (!std::isfinite(wanted)) continue;
    double value = 0;
    const std::string text = absl::StrFormat("%.17g", wanted);
    ASSERT_TRUE(ParseFloat(text, &value).ok()) << text;
    ASSERT_EQ(value, wanted) << text;
  }
}

}  // namespace
}  // namespace evenkeel::config
