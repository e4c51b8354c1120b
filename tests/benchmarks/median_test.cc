#include "tests/benchmarks/median.h"

#include "gtest/gtest.h"

namespace evenkeel::benchmarks {
namespace {

TEST(MedianTest, IsInTheMiddleWhateverTheOrder) {
  EXPECT_EQ(Median({5}), 5);
  EXPECT_EQ(Median({9, 1}), 5);
  EXPECT_EQ(Median({100, 1, 3}), 3);
  EXPECT_EQ(Median({4, 1, 1000, 2}), 3);
}

}  // namespace
}  // namespace evenkeel::benchmarks
