#include "rendezvous/missing_ranks.h"

#include "gtest/gtest.h"

namespace evenkeel::rendezvous {
namespace {

TEST(MissingRanksTest, AtMostThreeAreNamed) {
  EXPECT_EQ(NameRanks({3}), "rank 3");
  EXPECT_EQ(NameRanks({3, 5}), "ranks 3 and 5");
  EXPECT_EQ(NameRanks({3, 5, 6}), "ranks 3, 5 and 6");
  EXPECT_EQ(NameRanks({3, 5, 6, 7}), "ranks 3, 5, 6 and 1 more");
  EXPECT_EQ(NameRanks({3, 5, 6, 7, 8, 100}), "ranks 3, 5, 6 and 3 more");
}

}  // namespace
}  // namespace evenkeel::rendezvous
