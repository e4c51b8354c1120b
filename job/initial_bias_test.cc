#include "job/initial_bias.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Layers "a" of 4 experts and "b" of 3.
const std::vector<float> kBias = {1, -2, 0.5, 0, 3, 0, -3};

void ExpectRefused(const JobPlan& plan, const std::vector<float>& bias, const std::string& why) {
  JobState state = InitialJobState(plan);
  const absl::Status status = SetInitialBias(plan, bias, &state);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(why));
}

TEST(InitialBiasTest, IsTheBiasOfTheFirstVersion) {
  const JobPlan plan = TestPlan(TestSpec(1));
  JobState state = InitialJobState(plan);
  ASSERT_TRUE(SetInitialBias(plan, kBias, &state).ok());
  EXPECT_THAT(state.layers[0].balance.bias, ElementsAre(1, -2, 0.5, 0));
  EXPECT_THAT(state.layers[1].balance.bias, ElementsAre(3, 0, -3));
  EXPECT_EQ(state.initial_bias_hash, StateHash(state));
  EXPECT_EQ(CommittedVersionOf(plan, state)->state_hash(), StateHash(state));
}

TEST(InitialBiasTest, NoneIsZeroAndHasTheHashZero) {
  const JobPlan plan = TestPlan(TestSpec(1));
  JobState state = InitialJobState(plan);
  ASSERT_TRUE(SetInitialBias(plan, {}, &state).ok());
  EXPECT_THAT(state.layers[1].balance.bias, ElementsAre(0, 0, 0));
  EXPECT_EQ(state.initial_bias_hash, 0);
  EXPECT_EQ(InitialBiasHash(plan, {}), 0);
  EXPECT_NE(InitialBiasHash(plan, std::vector<float>(7)), 0) << "zeros that were given";
}

TEST(InitialBiasTest, AJobThatIsObservedHasNone) {
  v1::JobSpec spec = TestSpec(1);
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  ExpectRefused(TestPlan(spec), kBias, "a job whose mode is OBSERVE has no bias");
  JobState state = InitialJobState(TestPlan(spec));
  EXPECT_TRUE(SetInitialBias(TestPlan(spec), {}, &state).ok());
}

TEST(InitialBiasTest, SurvivesBeingStored) {
  const JobPlan plan = TestPlan(TestSpec(1));
  JobState state = InitialJobState(plan);
  ASSERT_TRUE(SetInitialBias(plan, kBias, &state).ok());
  const absl::StatusOr<JobState> again = FromProto(plan, ToProto(plan, state));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->initial_bias_hash, state.initial_bias_hash);
}

TEST(InitialBiasTest, NamesWhatIsWrong) {
  const JobPlan plan = TestPlan(TestSpec(1));
  ExpectRefused(plan, {1, 2}, "initial_bias has 2 values; the layers have 7 experts");
  std::vector<float> bias = kBias;
  bias[5] = std::numeric_limits<float>::infinity();
  ExpectRefused(plan, bias, "layer \"b\", expert 1 has inf");
  bias[5] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused(plan, bias, "layer \"b\", expert 1 has nan");
}

TEST(InitialBiasTest, WhatAnAbsoluteCapWouldCutIsRefused) {
  v1::JobSpec spec = TestSpec(1);
  spec.mutable_balance()->set_preset("axolotl_noaux_tc");
  ExpectRefused(TestPlan(spec), kBias, "layer \"b\", expert 0 has 3, which the absolute cap 2 would cut");
  spec.mutable_balance()->set_cap(3);
  JobState state = InitialJobState(TestPlan(spec));
  EXPECT_TRUE(SetInitialBias(TestPlan(spec), kBias, &state).ok()) << "at the cap";
}

}  // namespace
}  // namespace evenkeel::job
