#include "client/source/step_counts.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;

TEST(StepCountsTest, WhatIsAddedUpIsOneArray) {
  StepCounts counts({/*experts=*/3, /*rows=*/2, /*dispatched=*/2, /*ranks=*/2});
  for (int i = 0; i < 3; ++i) counts.mutable_counts()[i] = 5 + i;
  counts.mutable_totals()[0] = {/*tokens=*/9, /*short_slots=*/1, /*refused=*/0};
  counts.mutable_totals()[1] = {/*tokens=*/8, /*short_slots=*/0, /*refused=*/2};
  for (int i = 0; i < 2; ++i) counts.mutable_dispatched()[i] = 3 + i;
  counts.set_skips(1);
  counts.set_replays(2);
  counts.mutable_checks()[1] = {/*counts=*/21, /*bias=*/22};
  EXPECT_THAT(counts.sums(), ElementsAre(5, 6, 7, 9, 1, 0, 8, 0, 2, 3, 4, 1, 2, 0, 0, 21, 22));
  for (uint64_t& value : counts.sums()) value *= 2;
  EXPECT_THAT(counts.counts(), ElementsAre(10, 12, 14));
  EXPECT_EQ(counts.totals()[0].tokens, 18);
  EXPECT_EQ(counts.totals()[1].refused, 4);
  EXPECT_THAT(counts.dispatched(), ElementsAre(6, 8));
  EXPECT_EQ(counts.skips(), 2);
  EXPECT_EQ(counts.replays(), 4);
  EXPECT_EQ(counts.checks()[1].bias, 44);
}

TEST(StepCountsTest, MayLieInOthersMemory) {
  const StepShape shape{3, 2};
  std::vector<uint64_t> sums(shape.Sums());
  StepCounts counts(shape, sums.data());
  counts.mutable_counts()[2] = 4;
  counts.set_skips(7);
  EXPECT_EQ(sums[2], 4);
  EXPECT_EQ(sums[shape.SkipsAt()], 7);
}

TEST(StepCountsPoolTest, GivesAgainWhatCameBack) {
  int made = 0;
  StepCountsPool pool([&made] {
    ++made;
    return std::make_unique<StepCounts>(StepShape{3, 1});
  });
  std::set<StepCounts*> seen;
  for (int round = 0; round < 10; ++round) {
    const StepCountsPtr first = pool.Take();
    const StepCountsPtr second = pool.Take();
    EXPECT_NE(first.get(), second.get());
    seen.insert({first.get(), second.get()});
  }
  EXPECT_EQ(made, 2);
  EXPECT_EQ(seen.size(), 2);
}

TEST(StepCountsPoolTest, SaysWhenThereIsNone) {
  StepCountsPool pool([] { return nullptr; });
  EXPECT_EQ(pool.Take(), nullptr);
}

}  // namespace
}  // namespace evenkeel::client
