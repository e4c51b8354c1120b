#include "job/zero_bias.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// After 7 steps that moved every layer.
JobState StateAfterSteps(const JobPlan& plan) {
  JobState state = InitialJobState(plan);
  state.version.set_step(7);
  state.position = 7;
  for (JobState::Layer& layer : state.layers) {
    layer.balance.last_commit = 7;
    layer.balance.last_update = 6;
    layer.balance.bias[0] = 0.25f;
  }
  return state;
}

TEST(ZeroBiasTest, ABiasThatIsThereIsNone) {
  const JobPlan plan = TestPlan(TestSpec(1));
  EXPECT_THAT(FindZeroBias(plan, StateAfterSteps(plan)), IsEmpty());
}

TEST(ZeroBiasTest, Pitfall11ABiasThatWasNotSavedIsNamed) {
  const JobPlan plan = TestPlan(TestSpec(1));
  JobState state = StateAfterSteps(plan);
  state.layers[1].balance.bias[0] = 0;
  const std::vector<v1::Violation> violations = FindZeroBias(plan, state);
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ(violations[0].kind(), v1::Violation::ZERO_BIAS);
  EXPECT_EQ(violations[0].layer(), "b");
  EXPECT_THAT(violations[0].message(), HasSubstr("layer \"b\": the bias is 0 for all experts after step 7, though"));
}

TEST(ZeroBiasTest, NegativeZeroIsZero) {
  const JobPlan plan = TestPlan(TestSpec(1));
  JobState state = StateAfterSteps(plan);
  state.layers[0].balance.bias.assign(4, -0.0f);
  EXPECT_THAT(FindZeroBias(plan, state), SizeIs(1));
}

TEST(ZeroBiasTest, AJobThatHasNotMovedMayBeZero) {
  const JobPlan plan = TestPlan(TestSpec(1));
  EXPECT_THAT(FindZeroBias(plan, InitialJobState(plan)), IsEmpty());
  JobState state = StateAfterSteps(plan);
  state.layers[0].balance.bias.assign(4, 0);
  state.layers[0].balance.last_update = 0;  // warm-up
  EXPECT_THAT(FindZeroBias(plan, state), IsEmpty());
}

TEST(ZeroBiasTest, ALayerThatNoRuleMovesMayBeZero) {
  const auto count = [](const v1::JobSpec& spec) {
    const JobPlan plan = TestPlan(spec);
    JobState state = StateAfterSteps(plan);
    for (JobState::Layer& layer : state.layers) layer.balance.bias.assign(layer.balance.bias.size(), 0);
    return FindZeroBias(plan, state).size();
  };
  v1::JobSpec spec = TestSpec(1);
  EXPECT_EQ(count(spec), 2);
  spec.set_mode(v1::JobSpec::Mode::FROZEN);
  EXPECT_EQ(count(spec), 0);
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  EXPECT_EQ(count(spec), 0);
  spec = TestSpec(1);
  spec.mutable_balance()->set_rate(0);
  EXPECT_EQ(count(spec), 0);
  spec = TestSpec(1);
  spec.add_overrides()->set_layer("a");
  spec.mutable_overrides(0)->mutable_balance()->set_frozen(true);
  EXPECT_EQ(count(spec), 1);
}

}  // namespace
}  // namespace evenkeel::job
