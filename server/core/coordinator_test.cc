#include "server/core/coordinator.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/snapshot.h"
#include "job/test_messages.h"
#include "server/core/simulation/disk.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Code = absl::StatusCode;
using Reason = v1::ErrorDetail;

constexpr absl::Time kNow = absl::UnixEpoch();

v1::JoinRequest JoinOf(const std::string& job, int contributor = 0, int contributors = 1) {
  v1::JobSpec spec = job::TestSpec(contributors);
  spec.set_name(job);
  return job::TestJoin(spec, contributor, /*incarnation=*/100 + contributor, /*next_step=*/1);
}

// A push of step 1 that nobody could object to.
v1::PushRequest PushOf(const std::string& job, int contributor = 0) {
  v1::PushRequest push;
  push.set_job(job);
  push.set_contributor(contributor);
  push.set_incarnation(100 + contributor);
  push.set_epoch(1);
  push.set_step(1);
  push.set_ok(true);
  push.mutable_routed_with()->set_epoch(1);
  for (const uint64_t tokens : {1, 1}) push.add_valid_tokens(tokens);
  *push.mutable_routed() = job::PackCounts({1, 1, 0, 0, /**/ 1, 0, 0});
  return push;
}

class CoordinatorTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::JoinResponse> Join(const v1::JoinRequest& request) {
    effects_ = Effects();
    return coordinator_.Join(kNow, request, &effects_);
  }

  PushResult Push(CallId call, v1::PushRequest push) {
    effects_ = Effects();
    return coordinator_.Push(kNow, call, &push, &effects_);
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    const v1::ListJobsResponse list = coordinator_.List();
    for (const v1::JobSummary& job : list.jobs()) names.push_back(job.name());
    return names;
  }

  Coordinator coordinator_{v1::CoordinatorConfig()};
  // Of the last event.
  Effects effects_;
};

TEST_F(CoordinatorTest, TheFirstContributorMakesTheJob) {
  EXPECT_THAT(Names(), IsEmpty());
  const auto response = Join(JoinOf("run", 1, 2));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->epoch(), 1u);
  EXPECT_EQ(response->open_step(), 1u);
  EXPECT_THAT(Names(), ElementsAre("run"));
  simulation::Disk disk;
  disk.Apply(effects_.writes);
  const JobRecord* record = disk.Find("run");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->epoch, 1u);
  EXPECT_EQ(record->state.SerializeAsString(), coordinator_.State("run")->SerializeAsString());
  EXPECT_THAT(record->versions, SizeIs(1));
  EXPECT_THAT(record->members, SizeIs(1));
}

TEST_F(CoordinatorTest, ARefusedFirstJoinMakesNoJob) {
  v1::JoinRequest request = JoinOf("run");
  request.set_next_step(2);
  EXPECT_EQ(ReasonOf(Join(request).status()), Reason::STEP_AHEAD);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(effects_.writes, IsEmpty());
  request = JoinOf("run");
  request.add_owned_layers("nobody's");
  EXPECT_EQ(ReasonOf(Join(request).status()), Reason::INVALID_FIELD);
  request = JoinOf("run");
  request.set_contributor(1);
  EXPECT_EQ(ReasonOf(Join(request).status()), Reason::INVALID_FIELD);
  request = JoinOf("run");
  request.add_owned_layers("a");
  EXPECT_EQ(ReasonOf(Join(request).status()), Reason::UNCOVERED_LAYER);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(effects_.writes, IsEmpty());
}

TEST_F(CoordinatorTest, ARefusedLaterJoinChangesNothing) {
  ASSERT_TRUE(Join(JoinOf("run", 0, 2)).ok());
  const std::string before = coordinator_.Describe("run")->SerializeAsString();
  EXPECT_EQ(ReasonOf(Join(JoinOf("run", 1, 3)).status()), Reason::SPEC_MISMATCH);
  EXPECT_EQ(coordinator_.Describe("run")->SerializeAsString(), before);
  EXPECT_THAT(effects_.writes, IsEmpty());
}

TEST_F(CoordinatorTest, RefusesWhatItCannotReadOrDo) {
  const auto invalid = [](const std::string& sentence) {
    return job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, sentence);
  };
  v1::JoinRequest request = JoinOf("run");
  request.set_protocol_version(2);
  EXPECT_THAT(Join(request).status(), invalid("protocol_version is 2; this coordinator speaks 1"));
  request = JoinOf("run");
  request.set_incarnation(0);
  EXPECT_THAT(Join(request).status(), invalid("incarnation is 0"));
  request = JoinOf("run");
  request.set_next_step(0);
  EXPECT_THAT(Join(request).status(), invalid("next_step is 0"));
  request = JoinOf("run");
  request.set_rewind(true);
  request.set_catch_up(true);
  EXPECT_THAT(Join(request).status(), invalid("rewind and catch_up are both set"));
  request = JoinOf("run");
  request.mutable_snapshot();
  EXPECT_THAT(Join(request).status(), invalid("snapshot is given without rewind"));
  request.set_rewind(true);
  EXPECT_THAT(Join(request).status(), invalid("snapshot.format_version is 0"));
  request = JoinOf("run");
  request.clear_job();
  EXPECT_THAT(Join(request).status(), invalid("job.name has 0 bytes"));
  EXPECT_THAT(Join(v1::JoinRequest()).status(), invalid("protocol_version is 0"));
  EXPECT_THAT(Names(), IsEmpty());
}

// Layers "a" of 4 experts and "b" of 3.
v1::JoinRequest JoinWithBias(int contributor, float first) {
  v1::JoinRequest request = JoinOf("run", contributor, 2);
  for (const float bias : {first, -2.0f, 0.5f, 0.0f, 3.0f, 0.0f, -3.0f}) request.add_initial_bias(bias);
  return request;
}

TEST_F(CoordinatorTest, Pitfall37AJobBeginsWithTheBiasThatItsContributorsBring) {
  const auto differs = [](const std::string& sentence) {
    return job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, sentence);
  };
  const auto joined = Join(JoinWithBias(0, 1));
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_THAT(joined->version().bias(), ElementsAre(1, -2, 0.5, 0, 3, 0, -3));
  simulation::Disk disk;
  disk.Apply(effects_.writes);

  EXPECT_THAT(Join(JoinWithBias(1, 1.5)).status(), differs("every contributor must bring the same"));
  EXPECT_THAT(Join(JoinOf("run", 1, 2)).status(), differs("this contributor's is 0"));
  v1::JoinRequest request = JoinOf("run", 1, 2);
  request.add_initial_bias(1);
  EXPECT_THAT(Join(request).status(), differs("this contributor's is of 1 values"));

  // The same after a restart.
  Coordinator again{v1::CoordinatorConfig()};
  Effects effects;
  ASSERT_TRUE(again.Restore(kNow, {*disk.Find("run")}, &effects).ok());
  EXPECT_FALSE(again.Join(kNow, JoinWithBias(1, 1.5), &effects).ok());
  const auto rejoined = again.Join(kNow, JoinWithBias(1, 1), &effects);
  ASSERT_TRUE(rejoined.ok()) << rejoined.status();
  EXPECT_THAT(rejoined->version().bias(), ElementsAre(1, -2, 0.5, 0, 3, 0, -3));
}

TEST_F(CoordinatorTest, OnceAStepIsCommittedTheInitialBiasMayBeLeftOut) {
  for (const int contributor : {0, 1}) ASSERT_TRUE(Join(JoinWithBias(contributor, 1)).ok());
  for (const int contributor : {0, 1}) Push(contributor, PushOf("run", contributor));
  v1::JoinRequest request = JoinOf("run", 1, 2);
  request.set_incarnation(200);
  request.set_next_step(2);
  EXPECT_TRUE(Join(request).ok());
  request.set_incarnation(201);
  *request.mutable_initial_bias() = JoinWithBias(1, 1).initial_bias();
  EXPECT_TRUE(Join(request).ok());
  *request.mutable_initial_bias() = JoinWithBias(1, 2).initial_bias();
  EXPECT_FALSE(Join(request).ok());
}

TEST_F(CoordinatorTest, AnInitialBiasThatIsNoneMakesNoJob) {
  v1::JoinRequest request = JoinWithBias(0, std::numeric_limits<float>::infinity());
  EXPECT_THAT(Join(request).status(), job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD,
                                                     "initial_bias: layer \"a\", expert 0 has inf"));
  EXPECT_THAT(Names(), IsEmpty());
}

// The state of a job of one contributor after its first step.
v1::Snapshot StateAfterAStep() {
  Coordinator coordinator{v1::CoordinatorConfig()};
  Effects effects;
  EXPECT_TRUE(coordinator.Join(kNow, JoinOf("run"), &effects).ok());
  v1::PushRequest push = PushOf("run");
  coordinator.Push(absl::UnixEpoch(), 1, &push, &effects);
  return job::MakeSnapshot(*coordinator.State("run"));
}

v1::JoinRequest WishOf(int contributor, uint64_t next_step) {
  v1::JoinRequest request = JoinOf("run", contributor, 2);
  request.set_rewind(true);
  request.set_next_step(next_step);
  return request;
}

TEST_F(CoordinatorTest, AJobIsMadeInTheStateThatIsBrought) {
  v1::JoinRequest wish = WishOf(0, 2);
  *wish.mutable_snapshot() = StateAfterAStep();
  const auto joined = Join(wish);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->epoch(), 2) << "the state is of epoch 1";
  EXPECT_EQ(joined->open_step(), 2);
  EXPECT_EQ(joined->version().bias(0), job::OpenSnapshot(wish.snapshot())->state.layers(0).bias(0));
  ASSERT_THAT(effects_.notices, SizeIs(2));
  EXPECT_STREQ(effects_.notices[0].name, "job_made");
  EXPECT_STREQ(effects_.notices[1].name, "rewind");
  EXPECT_EQ(effects_.notices[1].job, wish.job().name());
  simulation::Disk disk;
  disk.Apply(effects_.writes);
  Effects effects;
  EXPECT_TRUE(Coordinator(v1::CoordinatorConfig()).Restore(kNow, disk.Load(), &effects).ok());
  // Others bring the same, or nothing.
  EXPECT_TRUE(Join(WishOf(1, 2)).ok());
  wish = WishOf(1, 3);
  *wish.mutable_snapshot() = StateAfterAStep();
  EXPECT_THAT(Join(wish).status(), job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD,
                                                  "snapshot has the state after step 1; next_step 3 goes on from"));
}

TEST_F(CoordinatorTest, AJobThatNobodyBringsIsNotMade) {
  EXPECT_THAT(Join(WishOf(0, 8)).status(),
              job::IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "no job \"run\" is here, and nobody has"));
  const auto unknown = job::IsRefusal(Code::kFailedPrecondition, Reason::STATE_UNKNOWN, "bring the snapshot");
  EXPECT_THAT(Join(WishOf(1, 8)).status(), unknown);
  EXPECT_THAT(Join(WishOf(0, 8)).status(), unknown);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_TRUE(Join(WishOf(0, 1)).ok()) << "from the beginning there is nothing to bring";
}

TEST_F(CoordinatorTest, AStateThatIsPutInMakesTheJobOrReplacesIts) {
  v1::PutStateRequest request;
  request.set_job("other");
  *request.mutable_snapshot() = StateAfterAStep();
  auto put = coordinator_.PutState(kNow, request, &effects_);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->epoch(), 2);
  EXPECT_EQ(put->version().step(), 1);
  put = coordinator_.PutState(kNow, request, &effects_);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->epoch(), 3);
  EXPECT_THAT(Names(), ElementsAre("other"));
  request.set_job("no name!");
  EXPECT_EQ(coordinator_.PutState(kNow, request, &effects_).status().code(), Code::kInvalidArgument);
  request.mutable_snapshot()->set_format_version(3);
  EXPECT_THAT(coordinator_.PutState(kNow, request, &effects_).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "format_version is 3; this program reads"));
}

TEST_F(CoordinatorTest, AStateThatIsRefusedLeavesNoJobBehindNotEvenOnDisk) {
  v1::JobState state = job::OpenSnapshot(StateAfterAStep())->state;
  state.add_changes()->set_from_step(9);
  state.add_changes()->set_from_step(3);
  v1::PutStateRequest request;
  request.set_job("other");
  *request.mutable_snapshot() = job::MakeSnapshot(state);
  effects_ = Effects();
  EXPECT_EQ(coordinator_.PutState(kNow, request, &effects_).status().code(), Code::kInvalidArgument);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_TRUE(effects_.IsEmpty());
}

TEST_F(CoordinatorTest, AStateFromWhichEpochOrStepWouldComeRoundIsRefused) {
  for (const bool epoch : {true, false}) {
    v1::JobState state = job::OpenSnapshot(StateAfterAStep())->state;
    state.clear_move();
    (epoch ? state.mutable_version()->set_epoch(~uint64_t{0}) : state.mutable_version()->set_step(~uint64_t{0}));
    v1::PutStateRequest request;
    request.set_job("other");
    *request.mutable_snapshot() = job::MakeSnapshot(state);
    EXPECT_THAT(coordinator_.PutState(kNow, request, &effects_).status(),
                job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "at most 2^62 each"));
  }
}

TEST_F(CoordinatorTest, GivesTheStatesOfAJob) {
  v1::GetStateRequest request;
  request.set_job("run");
  EXPECT_THAT(coordinator_.StatesFor(request).status(), job::IsRefusal(Code::kNotFound, Reason::JOB_UNKNOWN, "run"));
  ASSERT_TRUE(Join(JoinOf("run")).ok());
  EXPECT_THAT(*coordinator_.StatesFor(request), ElementsAre(0));
  const auto response = coordinator_.GetState(request, {*coordinator_.State("run")});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(job::OpenSnapshot(response->snapshot())->state.SerializeAsString(),
            coordinator_.State("run")->SerializeAsString());
  EXPECT_THAT(coordinator_.GetState(request, {}).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::STATE_UNKNOWN, "step 0"));
}

TEST_F(CoordinatorTest, JobsDoNotKnowOfEachOther) {
  ASSERT_TRUE(Join(JoinOf("b")).ok());
  ASSERT_TRUE(Join(JoinOf("a")).ok());
  EXPECT_THAT(Names(), ElementsAre("a", "b"));
  EXPECT_EQ(Push(1, PushOf("b")), PushResult::kAccepted);
  EXPECT_THAT(effects_.commits, SizeIs(1));
  EXPECT_EQ(coordinator_.Describe("b")->summary().open_step(), 2u);
  EXPECT_EQ(coordinator_.Describe("a")->summary().open_step(), 1u);
}

TEST_F(CoordinatorTest, UnknownJobsAreNamed) {
  const auto unknown = job::IsRefusal(Code::kNotFound, Reason::JOB_UNKNOWN, "no job \"ru\\nn\" is known here");
  EXPECT_EQ(Push(5, PushOf("ru\nn")), PushResult::kRefused);
  ASSERT_THAT(effects_.answers, SizeIs(1));
  EXPECT_EQ(effects_.answers[0].call, 5u);
  EXPECT_THAT(effects_.answers[0].reply.status(), unknown);
  v1::LeaveRequest leave;
  leave.set_job("ru\nn");
  EXPECT_THAT(coordinator_.Leave(kNow, leave, &effects_), unknown);
  EXPECT_THAT(coordinator_.State("ru\nn").status(), unknown);
  EXPECT_THAT(coordinator_.Describe("ru\nn").status(), unknown);
  EXPECT_THAT(coordinator_.Overview("ru\nn").status(), unknown);
  coordinator_.Cancel("ru\nn", 5);
}

TEST_F(CoordinatorTest, LeavesGoToTheirJob) {
  ASSERT_TRUE(Join(JoinOf("a")).ok());
  v1::LeaveRequest leave;
  leave.set_job("a");
  leave.set_incarnation(100);
  effects_ = Effects();
  EXPECT_TRUE(coordinator_.Leave(kNow, leave, &effects_).ok());
  EXPECT_THAT(effects_.writes, SizeIs(1));
  EXPECT_EQ(coordinator_.Describe("a")->summary().joined(), 0);
}

TEST_F(CoordinatorTest, CancelledCallsAreNotAnswered) {
  ASSERT_TRUE(Join(JoinOf("a", 0, 2)).ok());
  ASSERT_TRUE(Join(JoinOf("a", 1, 2)).ok());
  Push(1, PushOf("a", 0));
  coordinator_.Cancel("a", 1);
  Push(2, PushOf("a", 1));
  ASSERT_THAT(effects_.answers, SizeIs(1));
  EXPECT_EQ(effects_.answers[0].call, 2u);
}

TEST_F(CoordinatorTest, ShutDownSendsEveryoneToTheNextLife) {
  for (const char* job : {"a", "b"}) {
    ASSERT_TRUE(Join(JoinOf(job, 0, 2)).ok());
    ASSERT_TRUE(Join(JoinOf(job, 1, 2)).ok());
  }
  Push(1, PushOf("a", 0));
  Push(2, PushOf("b", 1));
  effects_ = Effects();
  coordinator_.ShutDown(&effects_);
  ASSERT_THAT(effects_.answers, SizeIs(2));
  for (const Answer& answer : effects_.answers) {
    EXPECT_THAT(answer.reply.status(), job::IsRefusal(Code::kUnavailable, Reason::SHUTTING_DOWN, "retry"));
  }
  EXPECT_THAT(effects_.writes, IsEmpty());
  coordinator_.ShutDown(&effects_);
  EXPECT_THAT(effects_.answers, SizeIs(2)) << "nobody is answered twice";
}

TEST(CoordinatorLimitsTest, OnlySoManyJobs) {
  v1::CoordinatorConfig config;
  config.mutable_limits()->set_max_jobs(2);
  Coordinator coordinator(config);
  Effects effects;
  ASSERT_TRUE(coordinator.Join(kNow, JoinOf("a", 0, 2), &effects).ok());
  ASSERT_TRUE(coordinator.Join(kNow, JoinOf("b"), &effects).ok());
  EXPECT_THAT(coordinator.Join(kNow, JoinOf("c"), &effects).status(),
              job::IsRefusal(Code::kResourceExhausted, Reason::LIMIT_EXCEEDED,
                             "job \"c\" would be one more than this coordinator's limits.max_jobs of 2"));
  EXPECT_TRUE(coordinator.Join(kNow, JoinOf("a", 1, 2), &effects).ok()) << "known jobs go on";
}

TEST(CoordinatorLimitsTest, ConfiguredDefaultsHoldForItsJobs) {
  v1::CoordinatorConfig config;
  config.mutable_default_balance()->set_preset("torchtitan");
  config.mutable_limits()->set_max_layers(1);
  Coordinator coordinator(config);
  Effects effects;
  EXPECT_EQ(ReasonOf(coordinator.Join(kNow, JoinOf("a"), &effects).status()), Reason::LIMIT_EXCEEDED);
  v1::JoinRequest request = JoinOf("a");
  request.mutable_job()->mutable_layers()->RemoveLast();
  const auto response = coordinator.Join(kNow, request, &effects);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->effective().balance().center(), v1::BalanceConfig::DELTA);
}

TEST(CoordinatorRestoreTest, TakesOverAllJobsInTheirNextEpochs) {
  simulation::Disk disk;
  {
    Coordinator coordinator{v1::CoordinatorConfig()};
    Effects effects;
    ASSERT_TRUE(coordinator.Join(kNow, JoinOf("a"), &effects).ok());
    ASSERT_TRUE(coordinator.Join(kNow, JoinOf("b", 0, 2), &effects).ok());
    v1::PushRequest push = PushOf("a");
    coordinator.Push(absl::UnixEpoch(), 1, &push, &effects);
    disk.Apply(effects.writes);
  }
  Coordinator coordinator{v1::CoordinatorConfig()};
  Effects effects;
  ASSERT_TRUE(coordinator.Restore(kNow, disk.Load(), &effects).ok());
  EXPECT_THAT(effects.writes, SizeIs(2));
  disk.Apply(effects.writes);
  const v1::ListJobsResponse list = coordinator.List();
  EXPECT_EQ(list.jobs_size(), 2);
  for (const v1::JobSummary& job : list.jobs()) {
    EXPECT_EQ(job.epoch(), 2u);
    EXPECT_EQ(disk.Find(job.name())->epoch, 2u);
    EXPECT_EQ(job.open_step(), job.name() == "a" ? 2u : 1u);
  }
}

TEST(CoordinatorRestoreTest, OneDamagedRecordStopsIt) {
  simulation::Disk disk;
  Coordinator coordinator{v1::CoordinatorConfig()};
  Effects effects;
  ASSERT_TRUE(coordinator.Join(kNow, JoinOf("a"), &effects).ok());
  disk.Apply(effects.writes);
  std::vector<JobRecord> records = disk.Load();
  records[0].versions.clear();
  Coordinator next{v1::CoordinatorConfig()};
  EXPECT_EQ(next.Restore(kNow, records, &effects).code(), Code::kDataLoss);
}

TEST(CoordinatorRestoreTest, JobsOutliveTheLimitsTheyWereMadeUnder) {
  simulation::Disk disk;
  {
    Coordinator coordinator{v1::CoordinatorConfig()};
    Effects effects;
    ASSERT_TRUE(coordinator.Join(kNow, JoinOf("a"), &effects).ok());
    disk.Apply(effects.writes);
  }
  v1::CoordinatorConfig config;
  config.mutable_limits()->set_max_jobs(0);
  config.mutable_default_balance()->set_preset("loss_free");
  Coordinator coordinator(config);
  Effects effects;
  ASSERT_TRUE(coordinator.Restore(kNow, disk.Load(), &effects).ok());
  const auto response = coordinator.Join(kNow, JoinOf("a"), &effects);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->effective().balance().rule(), v1::BalanceConfig::PROPORTIONAL) << "as it was made";
}

}  // namespace
}  // namespace evenkeel::core
