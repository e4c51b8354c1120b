// What a timeline promises, one test for each sentence of config_timeline.h.

#include "job/config_timeline.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/kept_versions.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Code = absl::StatusCode;
using Mode = v1::JobSpec::Mode;
using Reason = v1::ErrorDetail;

v1::ConfigChange Rate(uint64_t from_step, double rate) {
  v1::ConfigChange patch;
  patch.set_from_step(from_step);
  patch.mutable_balance()->set_rate(rate);
  return patch;
}

v1::ConfigChange LayerRate(uint64_t from_step, const std::string& layer, double rate) {
  v1::ConfigChange patch;
  patch.set_from_step(from_step);
  v1::LayerOverride* override_of = patch.add_overrides();
  override_of->set_layer(layer);
  override_of->mutable_balance()->set_rate(rate);
  return patch;
}

class ConfigTimelineTest : public ::testing::Test {
 protected:
  absl::Status Add(const v1::ConfigChange& patch, uint64_t open_step) { return timeline_.Add(plan_, patch, open_step); }
  double RateAt(uint64_t step) const { return timeline_.At(step).balance().rate(); }
  // Of every change but the first.
  std::vector<uint64_t> Steps() const {
    std::vector<uint64_t> steps;
    for (const v1::ConfigChange& change : timeline_.ToProto()) steps.push_back(change.from_step());
    if (!steps.empty()) steps.erase(steps.begin());
    return steps;
  }

  const JobPlan plan_ = TestPlan(TestSpec(1));
  ConfigTimeline timeline_{plan_};
};

TEST_F(ConfigTimelineTest, HowContributorsAreWaitedForChangesByField) {
  v1::ConfigChange patch;
  patch.set_from_step(4);
  patch.mutable_membership()->set_step_deadline_ms(0);
  ASSERT_TRUE(Add(patch, 2).ok());
  patch.set_from_step(6);
  patch.clear_membership();
  patch.set_missing_policy(v1::JobSpec::MissingPolicy::FAIL);
  ASSERT_TRUE(Add(patch, 2).ok());
  EXPECT_EQ(timeline_.At(3).membership().step_deadline_ms(), 600'000u);
  EXPECT_EQ(timeline_.At(4).membership().step_deadline_ms(), 0u);
  EXPECT_EQ(timeline_.At(6).membership().step_deadline_ms(), 0u);
  EXPECT_EQ(timeline_.At(6).membership().heartbeat_timeout_ms(), 60'000u);
  EXPECT_EQ(timeline_.At(5).missing_policy(), v1::JobSpec::MissingPolicy::WAIT);
  EXPECT_EQ(PlanAt(plan_, timeline_, 6).effective.missing_policy(), v1::JobSpec::MissingPolicy::FAIL);
}

TEST_F(ConfigTimelineTest, ChangesOfAnEarlierReleaseWaitForContributorsAsTheJobWasMade) {
  ASSERT_TRUE(Add(Rate(4, .25), 2).ok());
  auto changes = timeline_.ToProto();
  for (v1::ConfigChange& change : changes) {
    change.clear_membership();
    change.clear_missing_policy();
  }
  v1::JobSpec spec = TestSpec(1);
  spec.set_missing_policy(v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  spec.mutable_membership()->set_step_deadline_ms(7);
  const absl::StatusOr<ConfigTimeline> read = ConfigTimeline::FromProto(TestPlan(spec), changes);
  ASSERT_TRUE(read.ok()) << read.status();
  for (const uint64_t step : {1, 9}) {
    EXPECT_EQ(read->At(step).membership().step_deadline_ms(), 7u);
    EXPECT_EQ(read->At(step).membership().heartbeat_timeout_ms(), 60'000u);
    EXPECT_EQ(read->At(step).missing_policy(), v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  }
}

TEST_F(ConfigTimelineTest, BeginsWithWhatTheJobWasMadeWith) {
  EXPECT_THAT(timeline_.ToProto(), IsEmpty());
  EXPECT_EQ(timeline_.At(0).balance().rate(), plan_.effective.balance().rate());
  EXPECT_EQ(timeline_.At(1000).mode(), Mode::BALANCE);
  EXPECT_EQ(PlanAt(plan_, timeline_, 7).effective.SerializeAsString(), plan_.effective.SerializeAsString());
}

TEST_F(ConfigTimelineTest, AChangeHoldsFromItsStepOn) {
  ASSERT_TRUE(Add(Rate(10, .5), 4).ok());
  EXPECT_EQ(RateAt(9), .01);
  EXPECT_EQ(RateAt(10), .5);
  EXPECT_EQ(RateAt(11), .5);
  EXPECT_EQ(timeline_.First().balance().rate(), .01);
  EXPECT_EQ(PlanAt(plan_, timeline_, 9).balance[0].rate, .01);
  EXPECT_EQ(PlanAt(plan_, timeline_, 10).balance[0].rate, .5);
}

TEST_F(ConfigTimelineTest, FromStep0IsTheOpenStep) {
  ASSERT_TRUE(Add(Rate(0, .5), 4).ok());
  EXPECT_THAT(Steps(), ElementsAre(4));
}

TEST_F(ConfigTimelineTest, ACommittedStepIsRefused) {
  EXPECT_THAT(Add(Rate(3, .5), 4), IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND,
                                             "from_step is 3, which is committed; a change can hold from step 4 on"));
  EXPECT_THAT(timeline_.Undo(3, "", 4), IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND, "from_step is 3"));
  EXPECT_THAT(Steps(), IsEmpty());
}

TEST_F(ConfigTimelineTest, FieldsThatAreAbsentStayAsTheyWereToBeThen) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  v1::ConfigChange patch;
  patch.set_from_step(20);
  patch.mutable_balance()->set_momentum(.25);
  ASSERT_TRUE(Add(patch, 1).ok());
  EXPECT_EQ(RateAt(20), .5) << "of step 10";
  EXPECT_EQ(timeline_.At(19).balance().momentum(), .9);
  ASSERT_TRUE(Add(Rate(15, .75), 1).ok());
  EXPECT_EQ(RateAt(19), .75);
  EXPECT_EQ(RateAt(20), .5) << "a later change stays as it is";
  EXPECT_THAT(Steps(), ElementsAre(10, 15, 20));
}

TEST_F(ConfigTimelineTest, APresetReplacesEverything) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  v1::ConfigChange patch;
  patch.set_from_step(20);
  patch.mutable_balance()->set_preset("loss_free");
  ASSERT_TRUE(Add(patch, 1).ok());
  EXPECT_EQ(RateAt(20), .001);
  EXPECT_EQ(timeline_.At(20).balance().rule(), v1::BalanceConfig::SIGN);
  EXPECT_FALSE(timeline_.At(20).balance().has_preset()) << "every field is set instead";
}

TEST_F(ConfigTimelineTest, OverridesAreOfTheLayersThatTheyName) {
  ASSERT_TRUE(Add(LayerRate(10, "b", .5), 1).ok());
  v1::ConfigChange frozen = LayerRate(20, "a", .25);
  frozen.mutable_overrides(0)->mutable_balance()->set_frozen(true);
  ASSERT_TRUE(Add(frozen, 1).ok());
  const JobPlan at10 = PlanAt(plan_, timeline_, 10);
  EXPECT_EQ(at10.balance[0].rate, .01);
  EXPECT_EQ(at10.balance[1].rate, .5);
  const JobPlan at20 = PlanAt(plan_, timeline_, 20);
  EXPECT_EQ(at20.balance[0].rate, .25);
  EXPECT_TRUE(at20.balance[0].frozen);
  EXPECT_EQ(at20.balance[1].rate, .5) << "still";
  EXPECT_FALSE(at20.balance[1].frozen);
}

TEST_F(ConfigTimelineTest, AChangeFromTheSameStepIsReplaced) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  ASSERT_TRUE(Add(Rate(10, .25), 1).ok());
  EXPECT_THAT(Steps(), ElementsAre(10));
  EXPECT_EQ(RateAt(10), .25);
}

TEST_F(ConfigTimelineTest, TheSameChangeTwiceIsOne) {
  v1::ConfigChange patch = Rate(10, .5);
  patch.set_note("first");
  ASSERT_TRUE(Add(patch, 1).ok());
  patch.set_note("again");
  ASSERT_TRUE(Add(patch, 1).ok());
  ASSERT_TRUE(Add(Rate(12, .5), 1).ok()) << "nor is what holds anyway a change";
  EXPECT_THAT(Steps(), ElementsAre(10));
  EXPECT_EQ(timeline_.At(10).note(), "first");
}

TEST_F(ConfigTimelineTest, WhatAJoinWouldNotAcceptIsRefusedInItsWords) {
  EXPECT_THAT(Add(Rate(1, -1), 1), IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "job.balance: rate"));
  EXPECT_THAT(Add(LayerRate(1, "b", -1), 1),
              IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "balance of layer \"b\": rate"));
  EXPECT_THAT(Add(LayerRate(1, "c", 1), 1),
              IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "\"c\" is not a layer of the job"));
  v1::ConfigChange target;
  target.mutable_balance()->add_target(1);
  EXPECT_THAT(Add(target, 1),
              IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "balance of layer \"a\": target"));
  EXPECT_THAT(Steps(), IsEmpty());
}

TEST_F(ConfigTimelineTest, ModesAreBalanceAndFrozen) {
  v1::ConfigChange patch;
  patch.set_mode(Mode::FROZEN);
  ASSERT_TRUE(Add(patch, 5).ok());
  EXPECT_EQ(PlanAt(plan_, timeline_, 5).effective.mode(), Mode::FROZEN);
  patch.set_mode(Mode::BALANCE);
  ASSERT_TRUE(Add(patch, 6).ok());
  EXPECT_EQ(PlanAt(plan_, timeline_, 6).effective.mode(), Mode::BALANCE);
  patch.set_mode(Mode::OBSERVE);
  EXPECT_THAT(Add(patch, 7), IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "mode is OBSERVE"));
  patch.set_mode(static_cast<Mode::Kind>(9));
  EXPECT_THAT(Add(patch, 7), IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "mode is 9"));

  v1::JobSpec spec = TestSpec(1);
  spec.set_mode(Mode::OBSERVE);
  const JobPlan observing = TestPlan(spec);
  ConfigTimeline timeline(observing);
  patch.set_mode(Mode::BALANCE);
  EXPECT_THAT(timeline.Add(observing, patch, 1),
              IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "made to OBSERVE"));
}

TEST_F(ConfigTimelineTest, UndoDropsAChangeToCome) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  ASSERT_TRUE(Add(Rate(20, .25), 1).ok());
  ASSERT_TRUE(timeline_.Undo(0, "", 20).ok()) << "the open step is not committed";
  EXPECT_THAT(Steps(), ElementsAre(10));
  EXPECT_EQ(RateAt(20), .5);
}

TEST_F(ConfigTimelineTest, UndoGoesBackFromAChangeInForce) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  ASSERT_TRUE(timeline_.Undo(30, "too fast", 20).ok());
  EXPECT_THAT(Steps(), ElementsAre(10, 30));
  EXPECT_EQ(RateAt(29), .5);
  EXPECT_EQ(RateAt(30), .01);
  EXPECT_EQ(timeline_.At(30).note(), "too fast");
  ASSERT_TRUE(timeline_.Undo(0, "", 20).ok());
  EXPECT_EQ(RateAt(30), .5) << "an undo that is still to come is taken back too";
}

TEST_F(ConfigTimelineTest, UndoOfNothingIsRefused) {
  EXPECT_THAT(timeline_.Undo(0, "", 1), IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "never changed"));
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  ASSERT_TRUE(timeline_.Undo(0, "", 1).ok());
  EXPECT_THAT(timeline_.ToProto(), IsEmpty());
  EXPECT_FALSE(timeline_.Undo(0, "", 1).ok());
}

TEST_F(ConfigTimelineTest, ItComesBackFromWhatIsStored) {
  ASSERT_TRUE(Add(Rate(10, .5), 1).ok());
  ASSERT_TRUE(Add(LayerRate(20, "b", .25), 1).ok());
  const auto stored = timeline_.ToProto();
  const absl::StatusOr<ConfigTimeline> again = ConfigTimeline::FromProto(plan_, stored);
  ASSERT_TRUE(again.ok()) << again.status();
  for (const uint64_t step : {1, 10, 19, 20, 1000}) {
    EXPECT_EQ(again->At(step).SerializeAsString(), timeline_.At(step).SerializeAsString());
  }

  auto damaged = stored;
  damaged.Mutable(2)->set_from_step(10);
  EXPECT_EQ(ConfigTimeline::FromProto(plan_, damaged).status().code(), Code::kDataLoss);
  damaged = stored;
  damaged.Mutable(0)->set_from_step(1);
  EXPECT_EQ(ConfigTimeline::FromProto(plan_, damaged).status().code(), Code::kDataLoss);
  damaged = stored;
  damaged.Mutable(1)->mutable_balance()->set_momentum(1);
  const absl::Status status = ConfigTimeline::FromProto(plan_, damaged).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("changes[1]: job.balance: momentum"));
}

// A job whose config changes at every step.
TEST_F(ConfigTimelineTest, OnlyWhatNobodyAsksForIsForgotten) {
  constexpr uint64_t kSteps = 500;
  for (uint64_t step = 1; step <= kSteps; ++step) {
    const absl::Status status = Add(Rate(step, static_cast<double>(step)), step);
    if (step >= ConfigTimeline::kMaxChanges) {
      // Each of the kept versions was committed with a config of its own.
      ASSERT_THAT(status, IsRefusal(Code::kResourceExhausted, Reason::LIMIT_EXCEEDED, "64 changes")) << step;
      break;
    }
    ASSERT_TRUE(status.ok()) << status;
  }
  for (uint64_t step = 1; step < ConfigTimeline::kMaxChanges; ++step) EXPECT_EQ(RateAt(step), step);

  for (uint64_t step = 200; step <= kSteps; step += 2) {
    ASSERT_TRUE(Add(Rate(step, static_cast<double>(step)), step).ok()) << step;
    ASSERT_LE(timeline_.ToProto().size(), ConfigTimeline::kMaxChanges);
    for (uint64_t kept = std::max<uint64_t>(200, step - kKeptVersions); kept <= step; ++kept) {
      ASSERT_EQ(RateAt(kept), kept / 2 * 2);
    }
    ASSERT_EQ(RateAt(0), .01) << "what the job was made with";
  }
}

}  // namespace
}  // namespace evenkeel::job
