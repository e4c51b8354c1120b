#include "server/core/rewind_wishes.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::core {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Time kNow = absl::UnixEpoch();

RewindWishes::Wish Wish(uint64_t next_step, uint64_t checksum = 0) {
  RewindWishes::Wish wish;
  wish.incarnation = 100;
  wish.next_step = next_step;
  if (checksum != 0) wish.brought = std::make_shared<const BroughtStates>(BroughtStates{{}, checksum});
  return wish;
}

TEST(RewindWishesTest, TheyAgreeWhenAllNewestWishesAreOfOneStep) {
  RewindWishes wishes;
  EXPECT_TRUE(wishes.Agree(0, 7, {0}));
  EXPECT_FALSE(wishes.Agree(0, 7, {0, 1, 2}));
  wishes.Put(kNow, 0, Wish(7));
  wishes.Put(kNow, 1, Wish(6));
  EXPECT_FALSE(wishes.Agree(2, 7, {0, 1, 2}));
  wishes.Put(kNow, 1, Wish(7));
  EXPECT_TRUE(wishes.Agree(2, 7, {0, 1, 2}));
  EXPECT_FALSE(wishes.Agree(2, 6, {0, 1, 2}));
  wishes.Remove(0);
  EXPECT_FALSE(wishes.Agree(2, 7, {0, 1, 2}));
}

TEST(RewindWishesTest, ARefusedWishCountsNoMoreAndIsToldToItsProcessOnly) {
  RewindWishes wishes;
  wishes.Put(kNow, 0, Wish(7));
  wishes.Put(kNow, 1, Wish(7));
  wishes.RefuseAll(absl::FailedPreconditionError("no state"));
  EXPECT_EQ(wishes.RefusalOf(0, 100), absl::FailedPreconditionError("no state"));
  EXPECT_EQ(wishes.RefusalOf(1, 101), absl::OkStatus()) << "another process";
  EXPECT_FALSE(wishes.Agree(0, 7, {0, 1}));
  wishes.Put(kNow, 1, Wish(7));
  EXPECT_TRUE(wishes.Agree(0, 7, {0, 1}));
  EXPECT_EQ(wishes.Describe(2), "1 of 2 contributors have asked to go on: at step 7 contributor 1");
}

TEST(RewindWishesTest, WhatIsBroughtIsKeptOnce) {
  RewindWishes wishes;
  EXPECT_EQ(*wishes.Brought(), nullptr);
  wishes.Put(kNow, 0, Wish(7));
  wishes.Put(kNow, 1, Wish(7, /*checksum=*/5));
  wishes.Put(kNow, 2, Wish(7, /*checksum=*/5));
  ASSERT_NE(*wishes.Brought(), nullptr);
  EXPECT_EQ((*wishes.Brought())->checksum, 5);
  EXPECT_EQ(wishes.Brought()->use_count(), 3) << "two wishes and this test";
}

TEST(RewindWishesTest, DifferentSnapshotsAreNamed) {
  RewindWishes wishes;
  wishes.Put(kNow, 0, Wish(7, /*checksum=*/0xab));
  wishes.Put(kNow, 3, Wish(7, /*checksum=*/0xcd));
  EXPECT_THAT(std::string(wishes.Brought().status().message()),
              AllOf(HasSubstr("contributor 0 brings one of checksum 00000000000000ab for step 7"),
                    HasSubstr("contributor 3 one of checksum 00000000000000cd")));
}

TEST(RewindWishesTest, SaysWhoAskedForWhat) {
  RewindWishes wishes;
  wishes.Put(kNow, 5, Wish(6));
  for (const int contributor : {0, 1, 2, 3}) wishes.Put(kNow, contributor, Wish(7));
  EXPECT_EQ(wishes.Describe(8),
            "5 of 8 contributors have asked to go on: at step 7 contributors 0, 1, 2 and 1 more; "
            "at step 6 contributor 5");
}

}  // namespace
}  // namespace evenkeel::core
