#include "tools/number_list.h"

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

TEST(NumberListTest, NumbersInARowAreOne) {
  EXPECT_EQ(NumberRanges({}), "");
  EXPECT_EQ(NumberRanges({7}), "7");
  EXPECT_EQ(NumberRanges({0, 1}), "0-1");
  EXPECT_EQ(NumberRanges({0, 1, 2, 4, 6, 7, 8}), "0-2,4,6-8");
}

TEST(NumberListTest, ALongListSaysHowLongItIs) {
  EXPECT_EQ(FirstOf({}, 2), "");
  EXPECT_EQ(FirstOf({"a", "b"}, 2), "a, b");
  EXPECT_EQ(FirstOf({"a", "b", "c", "d"}, 2), "a, b and 2 more");
}

}  // namespace
}  // namespace evenkeel::tools
