#include "tests/soak/flatness.h"

#include "gtest/gtest.h"

namespace evenkeel::soak {
namespace {

// value(i) for i from 0 to n - 1.
template <typename Value>
Series Of(int n, Value value) {
  Series series;
  for (int i = 0; i < n; ++i) series.Add(value(i));
  return series;
}

TEST(SeriesTest, MediansOfTheSecondTenthAndTheLast) {
  const Series series = Of(100, [](int i) { return i; });
  EXPECT_EQ(series.first(), 0);
  EXPECT_EQ(series.last(), 99);
  EXPECT_EQ(series.most(), 99);
  EXPECT_EQ(series.early(), 14);  // of 10 to 19
  EXPECT_EQ(series.late(), 94);   // of 90 to 99
}

TEST(SeriesTest, OfFewSamples) {
  EXPECT_EQ(Series().early(), 0);
  EXPECT_EQ(Series().most(), 0);
  for (int n = 1; n <= 20; ++n) {
    const Series series = Of(n, [](int i) { return 1 + i; });
    EXPECT_GE(series.early(), 1) << n;
    EXPECT_GE(series.late(), series.early()) << n;
    EXPECT_LE(series.late(), n) << n;
  }
}

TEST(FlatnessTest, WarmUpAndOutliersAreNoGrowth) {
  const Series series = Of(200, [](int i) { return i < 15 ? 10 * i : i % 20 == 7 ? 900 : 150; });
  EXPECT_TRUE(IsFlat(series, {0, 0}));
}

TEST(FlatnessTest, ALeakIsGrowth) {
  const Series series = Of(1000, [](int i) { return 1000 + i; });
  EXPECT_FALSE(IsFlat(series, {0.1, 4}));
  EXPECT_FALSE(IsFlat(series, {0, 799}));
  EXPECT_TRUE(IsFlat(series, {0, 800}));
  EXPECT_FALSE(IsFlat(Of(kLeastSamples, [](int i) { return i; }), {0, 0}));
  EXPECT_TRUE(IsFlat(Of(kLeastSamples - 1, [](int i) { return i; }), {0, 0}));
  EXPECT_FALSE(IsFlat(Of(100, [](int i) { return i < 50 ? 12 : 13; }), {0, 0}));
}

}  // namespace
}  // namespace evenkeel::soak
