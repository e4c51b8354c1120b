#include "server/core/count_range.h"

#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::core {
namespace {

constexpr int kCounts = 67;  // no multiple of what any processor adds at once

v1::Counts Random(bool high, uint32_t seed) {
  std::mt19937 random(seed);
  v1::Counts counts;
  for (int i = 0; i < kCounts; ++i) {
    counts.add_low(i % 5 == 0 ? std::numeric_limits<uint32_t>::max() : random());
    if (high) counts.add_high(i % 3 == 0 ? std::numeric_limits<uint32_t>::max() : random());
  }
  return counts;
}

uint64_t At(const v1::Counts& counts, int i) {
  return counts.low(i) + (counts.high_size() > 0 ? uint64_t{counts.high(i)} << 32 : 0);
}

TEST(CountRangeTest, IsTheSumOfItsCounts) {
  for (const bool high : {false, true}) {
    const v1::Counts counts = Random(high, 7);
    for (const auto& [first, size] : {std::pair<int, int>{0, kCounts}, {0, 0}, {3, 17}, {66, 1}, {5, 62}}) {
      unsigned __int128 sum = 0;
      std::vector<uint64_t> sums(size, 11), expected(size, 11);
      for (int i = 0; i < size; ++i) {
        sum += At(counts, first + i);
        expected[i] += At(counts, first + i);
      }
      EXPECT_TRUE(SumOfCounts(counts, first, size) == sum) << first << " " << size << " " << high;
      AddCounts(counts, first, size, sums.data());
      EXPECT_EQ(sums, expected) << first << " " << size << " " << high;
      SubtractCounts(counts, first, size, sums.data());
      EXPECT_EQ(sums, std::vector<uint64_t>(size, 11));
    }
  }
}

// A hostile sender's numbers, whose sum does not fit in 64 bits.
TEST(CountRangeTest, TheSumIsExact) {
  v1::Counts counts;
  for (int i = 0; i < 3; ++i) {
    counts.add_low(std::numeric_limits<uint32_t>::max());
    counts.add_high(std::numeric_limits<uint32_t>::max());
  }
  EXPECT_TRUE(SumOfCounts(counts, 0, 3) == static_cast<unsigned __int128>(std::numeric_limits<uint64_t>::max()) * 3);
}

}  // namespace
}  // namespace evenkeel::core
