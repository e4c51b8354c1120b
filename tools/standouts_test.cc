#include "tools/standouts.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// In order: two contributors, three layers with a noise floor, a cap and a window.
v1::DescribeJobResponse Job() {
  v1::DescribeJobResponse response;
  response.mutable_summary()->set_name("pretrain");
  response.mutable_summary()->set_open_step(81);
  v1::BalanceConfig* balance = response.mutable_effective()->mutable_balance();
  balance->set_cap(2);
  balance->set_cap_mode(v1::BalanceConfig::DEVIATION);
  balance->set_center(v1::BalanceConfig::STATE);
  for (int i = 0; i < 2; ++i) {
    v1::ContributorStatus* contributor = response.add_contributors();
    contributor->set_contributor(i);
    contributor->set_state(v1::ContributorState::AWAITED);
    contributor->mutable_worker()->set_library_version("0.4.0");
  }
  for (const char* name : {"a", "b", "c"}) {
    v1::LayerStatus* layer = response.add_layers();
    layer->set_name(name);
    layer->set_num_experts(64);
    layer->set_max_violation(.2);
    layer->set_noise_floor(.0625);
    layer->set_bias_min(-1.5f);
    layer->set_bias_max(1.9f);
    layer->mutable_trend()->set_window_steps(64);
  }
  return response;
}

TEST(StandOutsTest, NothingDoesWhereAllIsInOrder) {
  EXPECT_THAT(StandOuts(Job()), IsEmpty());
  EXPECT_THAT(StandOuts(v1::DescribeJobResponse()), IsEmpty());
  EXPECT_FALSE(IsInTrouble(Job()));
}

TEST(StandOutsTest, TheMostSeriousComesFirst) {
  v1::DescribeJobResponse response = Job();
  response.mutable_halt()->set_step(70);
  response.mutable_halt()->mutable_cause()->set_message("ranks 2 and 3 count the same tokens");
  response.mutable_summary()->set_failure("contributor 1 is \x1b lost");
  response.mutable_summary()->add_stragglers(1);
  response.mutable_contributors(1)->set_state(v1::ContributorState::LOST);
  response.mutable_contributors(0)->set_state(v1::ContributorState::LATE);
  response.add_violations()->set_message("rank 1 routed with another bias");
  EXPECT_TRUE(IsInTrouble(response));
  EXPECT_THAT(
      StandOuts(response),
      ElementsAre("halted since step 70: ranks 2 and 3 count the same tokens; no layer moves until 'evenkeel set --job "
                  "pretrain --resume'",
                  "failed: contributor 1 is \\033 lost", "step 81 waits for contributor 1",
                  "contributor 1 lost: not heard of in time", "contributor 0 late: alive, and beyond a step's deadline",
                  "cannot be right: rank 1 routed with another bias"));
}

TEST(StandOutsTest, ContributorsThatAreNotBackAreNamedAsRanges) {
  v1::DescribeJobResponse response;
  for (int i = 0; i < 9; ++i) {
    response.add_contributors()->set_contributor(i);
    response.mutable_contributors(i)->set_state(i == 4 ? v1::ContributorState::PUSHED : v1::ContributorState::AWAY);
  }
  EXPECT_THAT(StandOuts(response),
              ElementsAre("contributors 0-3,5-8 away: not back since the coordinator's start, or a rewind"));
}

TEST(StandOutsTest, MixedVersionsAreNamed) {
  v1::DescribeJobResponse response = Job();
  response.add_contributors()->set_contributor(2);
  response.mutable_contributors(1)->mutable_worker()->set_library_version("0.4.0");
  response.mutable_contributors(2)->mutable_worker()->set_library_version("0.3.0");
  EXPECT_THAT(StandOuts(response), ElementsAre("library_version is mixed: 0.4.0 (2 of them), 0.3.0 (contributors 2)"));
}

TEST(StandOutsTest, WhatWorkersTellOfThemselves) {
  v1::DescribeJobResponse response = Job();
  response.mutable_summary()->set_staleness(2);
  response.mutable_contributors(0)->mutable_figures()->set_staleness(7);
  response.mutable_contributors(1)->mutable_figures()->set_lost_steps(5);
  EXPECT_THAT(StandOuts(response), ElementsAre("the last step was routed with a version 2 steps late",
                                               "a bias up to 7 steps older than the one due routes at contributors 0",
                                               "the counts of 5 steps were lost by contributors 1"));
}

TEST(StandOutsTest, DeadExpertsAreThoseOfTheWindow) {
  v1::DescribeJobResponse response = Job();
  response.mutable_layers(0)->set_dead_experts(9);
  response.mutable_layers(1)->mutable_trend()->set_dead_experts(2);
  response.mutable_layers(2)->clear_trend();
  response.mutable_layers(2)->set_dead_experts(4);
  response.mutable_layers(2)->set_stream(1);
  EXPECT_THAT(StandOuts(response), ElementsAre("2 of 3 layers have experts without a token: c stream 1 (4 of 64 in the "
                                               "last step), b (2 of 64 in 64 steps)"));
}

TEST(StandOutsTest, ALayerIsFarAboveItsNoiseFloorBeyondFourTimesIt) {
  v1::DescribeJobResponse response = Job();
  response.mutable_layers(1)->set_max_violation(.25);
  EXPECT_THAT(StandOuts(response), IsEmpty());
  response.mutable_layers(1)->set_max_violation(.26);
  response.mutable_layers(0)->set_max_violation(9);
  response.mutable_layers(0)->set_noise_floor(0);
  EXPECT_THAT(StandOuts(response), ElementsAre("1 of 3 layers are far above their noise floor: b (max violation 0.260, "
                                               "noise floor 0.062)"));
}

TEST(StandOutsTest, ABiasAtItsCapIsWhereTheLayersOwnCapIs) {
  v1::DescribeJobResponse response = Job();
  response.mutable_layers(0)->set_bias_min(-2);
  v1::LayerOverride* override = response.mutable_effective()->add_overrides();
  override->set_layer("b");
  override->mutable_balance()->set_cap(1.9);
  EXPECT_THAT(StandOuts(response), ElementsAre("2 of 3 layers have a bias at its cap: a (2), b (1.9)"));
  // Without centring, the distance from 0 is not that from the mean.
  response.mutable_effective()->mutable_balance()->set_center(v1::BalanceConfig::NONE);
  EXPECT_THAT(StandOuts(response), IsEmpty());
  response.mutable_effective()->mutable_balance()->set_cap_mode(v1::BalanceConfig::ABSOLUTE);
  EXPECT_EQ(StandOuts(response).size(), 1);
  response.mutable_effective()->mutable_balance()->set_cap(0);
  response.mutable_effective()->clear_overrides();
  EXPECT_THAT(StandOuts(response), IsEmpty());
}

TEST(StandOutsTest, ManyAreANumber) {
  v1::DescribeJobResponse response;
  for (int i = 0; i < 61; ++i) {
    v1::LayerStatus* layer = response.add_layers();
    layer->set_name(absl::StrCat("l", i));
    layer->set_num_experts(256);
    layer->set_dead_experts(i);
  }
  EXPECT_THAT(
      StandOuts(response),
      ElementsAre("60 of 61 layers have experts without a token: l60 (60 of 256 in the last step), l59 (59 of 256 "
                  "in the last step), l58 (58 of 256 in the last step) and 57 more"));
}

TEST(StandOutsTest, ASummaryTellsWhoNeedsSomebody) {
  v1::JobSummary job;
  v1::ContributorCount* count = job.add_counts();
  count->set_contributors(3);
  for (const auto state : {v1::ContributorState::PUSHED, v1::ContributorState::AWAITED, v1::ContributorState::FREE,
                           v1::ContributorState::AWAY, v1::ContributorState::COMING}) {
    count->set_state(state);
    EXPECT_FALSE(IsInTrouble(job)) << state;
  }
  for (const auto state : {v1::ContributorState::LOST, v1::ContributorState::LATE, v1::ContributorState::FAILED}) {
    count->set_state(state);
    EXPECT_TRUE(IsInTrouble(job)) << state;
  }
  job.clear_counts();
  job.add_stragglers(3);
  EXPECT_TRUE(IsInTrouble(job));
  job.clear_stragglers();
  job.set_failure("x");
  EXPECT_TRUE(IsInTrouble(job));
}

}  // namespace
}  // namespace evenkeel::tools
