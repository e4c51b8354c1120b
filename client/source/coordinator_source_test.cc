#include "client/source/coordinator_source.h"

#include <chrono>

#include "client/link/scripted_coordinator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(30); }

StepCounts SomeCounts() {
  StepCounts counts(/*total_experts=*/5, /*layers=*/2);
  counts.step = 7;
  counts.routed_with.set_epoch(3);
  counts.routed_with.set_step(6);
  const uint64_t values[] = {5, 4, 1, 1, 2};
  std::copy(std::begin(values), std::end(values), counts.mutable_counts());
  counts.mutable_tokens()[0] = 5;
  counts.mutable_tokens()[1] = 3;
  return counts;
}

TEST(PackStepTest, WritesTheFlatArrays) {
  v1::PushRequest push;
  PackStep(SomeCounts(), &push);
  EXPECT_EQ(push.step(), 7);
  EXPECT_TRUE(push.ok());
  EXPECT_EQ(push.routed_with().epoch(), 3);
  EXPECT_EQ(push.routed_with().step(), 6);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(5, 3));
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
}

TEST(PackStepTest, WritesHighWordsAndShortSlotsOnlyWhereThereAreAny) {
  StepCounts counts = SomeCounts();
  counts.mutable_counts()[3] = (uint64_t{7} << 32) + 1;
  counts.mutable_short_slots()[1] = 1;
  counts.set_skips(2);
  v1::PushRequest push;
  PackStep(counts, &push);
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), ElementsAre(0, 0, 0, 7, 0));
  EXPECT_THAT(push.short_slots(), ElementsAre(0, 1));
  EXPECT_FALSE(push.ok());

  // The next step, in the same message.
  PackStep(SomeCounts(), &push);
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
  EXPECT_TRUE(push.ok());
}

TEST(StepCountsTest, WhatIsAddedUpIsOneArray) {
  StepCounts counts = SomeCounts();
  counts.mutable_short_slots()[0] = 9;
  counts.set_skips(1);
  EXPECT_THAT(counts.sums(), ElementsAre(5, 4, 1, 1, 2, /*tokens*/ 5, 3, /*short*/ 9, 0, /*skips*/ 1));
  for (uint64_t& value : counts.sums()) value *= 2;
  EXPECT_THAT(counts.counts(), ElementsAre(10, 8, 2, 2, 4));
  EXPECT_THAT(counts.tokens(), ElementsAre(10, 6));
  EXPECT_THAT(counts.short_slots(), ElementsAre(18, 0));
  EXPECT_EQ(counts.skips(), 2);
}

TEST(CoordinatorSourceTest, PushesOverTheLink) {
  ScriptedCoordinator coordinator;
  v1::JoinRequest join;
  join.set_protocol_version(1);
  join.mutable_job()->set_name("run");
  join.mutable_job()->set_contributors(1);
  v1::LayerSpec* layer = join.mutable_job()->add_layers();
  layer->set_name("layer");
  layer->set_num_experts(3);
  layer->set_top_k(1);
  join.set_incarnation(11);
  CoordinatorSource source(coordinator.address(), join);
  v1::JoinResponse joined;
  ASSERT_TRUE(source.Join(1, Soon(), &joined).ok());
  v1::CommittedVersion version = joined.version();
  StepCounts counts(3, 1);
  for (uint64_t step = 1; step <= 2; ++step) {
    counts.step = step;
    *counts.mutable_counts() = step;
    *counts.mutable_tokens() = step;
    counts.routed_with = version.version();
    source.Push(&counts);
    ASSERT_TRUE(source.Await(Soon(), &version).ok());
    EXPECT_EQ(version.state_hash(), coordinator.VersionOf(1, step).state_hash());
  }
  ASSERT_TRUE(source.Leave(Soon()).ok());
  ASSERT_EQ(coordinator.Pushes().size(), 2);
  const v1::PushRequest last = coordinator.Pushes()[1];
  EXPECT_EQ(last.job(), "run");
  EXPECT_EQ(last.incarnation(), 11);
  EXPECT_EQ(last.epoch(), 1);
  EXPECT_THAT(last.routed().low(), ElementsAre(2, 0, 0));
}

}  // namespace
}  // namespace evenkeel::client
