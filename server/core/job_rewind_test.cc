#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/snapshot.h"
#include "job/test_messages.h"
#include "server/core/job_bench.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Code = absl::StatusCode;
using Reason = v1::ErrorDetail;
using job::IsRefusal;

v1::JobSpec Spec(int contributors, int lag = 0) {
  v1::JobSpec spec = job::TestSpec(contributors);
  spec.set_lag(lag);
  return spec;
}

class JobRewindTest : public ::testing::Test {
 protected:
  // A new process of every contributor, from then on.
  void NewLife() { ++life_; }
  uint64_t Incarnation(int contributor) const { return JobBench::Usual(contributor) + 1000 * life_; }

  v1::JoinRequest WishOf(int contributor, uint64_t next_step) const {
    v1::JoinRequest request = bench_->JoinOf(contributor);
    request.set_incarnation(Incarnation(contributor));
    request.set_next_step(next_step);
    request.set_rewind(true);
    return request;
  }
  absl::Status Wish(int contributor, uint64_t next_step) {
    return bench_->Join(WishOf(contributor, next_step)).status();
  }
  absl::Status Wish(int contributor, uint64_t next_step, const v1::Snapshot& snapshot) {
    v1::JoinRequest request = WishOf(contributor, next_step);
    *request.mutable_snapshot() = snapshot;
    return bench_->Join(request).status();
  }
  // All ask for `next_step`, until they are there.
  void RewindTo(uint64_t next_step) {
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < Contributors(); ++i) (void)Wish(i, next_step);
    }
    ASSERT_EQ(bench_->job().open_step(), next_step);
  }

  void PushAll() {
    const uint64_t step = bench_->job().open_step();
    for (int i = 0; i < Contributors(); ++i) {
      v1::PushRequest push = bench_->PushOf(i, step);
      push.set_incarnation(Incarnation(i));
      const CallId call = bench_->Push(push);
      ASSERT_TRUE(bench_->IsWaiting(call) || bench_->AnswerTo(call).ok()) << bench_->AnswerTo(call).status();
    }
    ASSERT_EQ(bench_->job().committed_step(), step);
  }
  void PushAllUntil(uint64_t step) {
    while (bench_->job().committed_step() < step) {
      const uint64_t before = bench_->job().committed_step();
      PushAll();
      ASSERT_GT(bench_->job().committed_step(), before);
    }
  }
  int Contributors() const { return bench_->plan().effective.contributors(); }

  void Start(const v1::JobSpec& spec, uint64_t steps) {
    bench_ = std::make_unique<JobBench>(spec);
    bench_->JoinAll();
    PushAllUntil(steps);
  }

  std::unique_ptr<JobBench> bench_;
  uint64_t life_ = 0;
};

TEST_F(JobRewindTest, NothingIsDisturbedUntilAllAskForTheSameStep) {
  Start(Spec(4), 9);
  NewLife();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Wish(i, 6), IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "have asked to go on: at step 6"));
  }
  EXPECT_THAT(Wish(3, 5), IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING,
                                    "4 of 4 contributors have asked to go on: at step 6 contributors 0, 1, 2; at step "
                                    "5 contributor 3; step 10 is open"));
  EXPECT_EQ(bench_->job().epoch(), 1);
  EXPECT_TRUE(bench_->IsAt(9));
  // Who trains, trains on.
  bench_->PushAll();
  EXPECT_TRUE(bench_->IsAt(10));
  EXPECT_EQ(Wish(3, 6), absl::OkStatus());
  EXPECT_EQ(bench_->job().epoch(), 2);
  EXPECT_TRUE(bench_->IsAt(5));
}

TEST_F(JobRewindTest, TheTrajectoryIsThatOfAJobThatWasNeverInterrupted) {
  for (const int lag : {0, 1}) {
    for (const uint64_t next_step : {1, 2, 3, 7, 12}) {
      life_ = 0;
      Start(Spec(3, lag), 12);
      NewLife();
      RewindTo(next_step);
      EXPECT_TRUE(bench_->IsAt(next_step - 1));
      PushAllUntil(15);
      EXPECT_TRUE(bench_->IsAt(15)) << "lag " << lag << " from step " << next_step;
    }
  }
}

TEST_F(JobRewindTest, ItIsOneWriteAndSurvivesARestart) {
  Start(Spec(2, /*lag=*/1), 9);
  NewLife();
  RewindTo(5);
  EXPECT_EQ(bench_->disk().state.version().step(), 4);
  EXPECT_EQ(bench_->disk().epoch, 2);
  EXPECT_EQ(bench_->disk().versions.back().step, 4);
  bench_->Restart();
  EXPECT_EQ(bench_->job().epoch(), 3);
  EXPECT_TRUE(bench_->IsAt(4));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Wish(i, 5), absl::OkStatus()) << "the step is open: a plain Join";
  PushAllUntil(9);
  EXPECT_TRUE(bench_->IsAt(9));
}

TEST_F(JobRewindTest, ARestartForgetsWishesAndTheyAreRepeated) {
  Start(Spec(2), 9);
  NewLife();
  EXPECT_FALSE(Wish(0, 6).ok());
  bench_->Restart();
  EXPECT_THAT(Wish(1, 6), IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 2"));
  EXPECT_EQ(Wish(0, 6), absl::OkStatus());
  EXPECT_TRUE(bench_->IsAt(5));
}

TEST_F(JobRewindTest, APlainJoinClearsTheContributorsWish) {
  Start(Spec(2), 9);
  NewLife();
  EXPECT_FALSE(Wish(0, 6).ok());
  EXPECT_TRUE(bench_->Join(0, Incarnation(0)).ok());
  EXPECT_THAT(Wish(1, 6), IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 2"));
}

TEST_F(JobRewindTest, AWishThatArrivesLateIsNone) {
  Start(Spec(1), 9);
  NewLife();
  EXPECT_EQ(Wish(0, 6), absl::OkStatus());
  PushAllUntil(8);
  EXPECT_EQ(Wish(0, 6), absl::OkStatus()) << "a repetition of its Join";
  EXPECT_EQ(bench_->job().epoch(), 2);
  EXPECT_TRUE(bench_->IsAt(8));
}

TEST_F(JobRewindTest, WorkersOfTheOldTrajectoryAreTurnedAway) {
  Start(Spec(2), 9);
  v1::PushRequest waiting = bench_->PushOf(0, 10);
  const CallId parked = bench_->Push(waiting);
  ASSERT_TRUE(bench_->IsWaiting(parked));
  v1::PushRequest later = bench_->PushOf(1, 6);
  NewLife();
  RewindTo(6);
  EXPECT_THAT(bench_->AnswerTo(parked).status(),
              IsRefusal(Code::kFailedPrecondition, Reason::STALE_EPOCH, "goes on from the state after step 5"));
  EXPECT_THAT(bench_->AnswerTo(bench_->Push(waiting)).status(),
              IsRefusal(Code::kAlreadyExists, Reason::REPLACED, "newer incarnation"));
  // A new process that has the version of a step that was undone.
  PushAllUntil(8);
  v1::PushRequest push = bench_->PushOf(0, 9);
  push.set_incarnation(Incarnation(0));
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(8);
  EXPECT_THAT(bench_->AnswerTo(bench_->Push(push)).status(),
              IsRefusal(Code::kFailedPrecondition, Reason::UNKNOWN_VERSION, "{epoch 1, step 8}"));
}

TEST_F(JobRewindTest, TheMoveIsDropped) {
  Start(Spec(1), 3);
  for (uint64_t step = 4; step <= 6; ++step) {
    v1::PushRequest push = bench_->PushOf(0, step);
    push.mutable_routed_with()->set_step(2);
    bench_->Push(push);
  }
  ASSERT_TRUE(bench_->disk().state.has_move());
  NewLife();
  RewindTo(6);
  EXPECT_FALSE(bench_->disk().state.has_move());
  EXPECT_THAT(bench_->disk().state.last_commit().stale_versions(), IsEmpty());
  v1::PushRequest push = bench_->PushOf(0, 6);
  push.set_incarnation(Incarnation(0));
  push.mutable_routed_with()->set_step(2);
  bench_->Push(push);
  EXPECT_TRUE(bench_->job().committed_step() == 6) << "an older version that is remembered may still route";
}

TEST_F(JobRewindTest, AStateThatIsForgottenIsToBeBrought) {
  Start(Spec(2, /*lag=*/1), 6);
  const v1::Snapshot snapshot = *bench_->Snapshot(5);
  PushAllUntil(80);
  NewLife();
  EXPECT_FALSE(Wish(0, 6).ok());
  const auto unknown = IsRefusal(Code::kFailedPrecondition, Reason::STATE_UNKNOWN, "bring the snapshot");
  EXPECT_THAT(Wish(1, 6), unknown);
  EXPECT_THAT(Wish(0, 6), unknown) << "everybody hears of it";
  EXPECT_EQ(bench_->job().epoch(), 1);
  NewLife();
  EXPECT_FALSE(Wish(1, 6).ok()) << "the wishes of processes that were refused count no more";
  EXPECT_EQ(Wish(0, 6, snapshot), absl::OkStatus());
  EXPECT_EQ(Wish(1, 6), absl::OkStatus());
  EXPECT_TRUE(bench_->IsAt(5));
  EXPECT_THAT(bench_->disk().versions.size(), 2) << "what was kept is of another trajectory";
  bench_->Restart();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Wish(i, 6), absl::OkStatus());
  PushAllUntil(80);
  EXPECT_TRUE(bench_->IsAt(80));
}

TEST_F(JobRewindTest, AStateAheadOfTheJobIsTakenToo) {
  Start(Spec(2), 20);
  const v1::Snapshot snapshot = *bench_->Snapshot(20);
  Start(Spec(2), 3);
  NewLife();
  EXPECT_FALSE(Wish(0, 21, snapshot).ok());
  EXPECT_EQ(Wish(1, 21, snapshot), absl::OkStatus());
  EXPECT_EQ(Wish(0, 21, snapshot), absl::OkStatus());
  PushAllUntil(24);
  EXPECT_TRUE(bench_->IsAt(24));
  NewLife();
  EXPECT_THAT(Wish(0, 40), IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, ""));
  EXPECT_THAT(Wish(1, 40), IsRefusal(Code::kFailedPrecondition, Reason::STATE_UNKNOWN, "after step 39"));
}

TEST_F(JobRewindTest, WhatIsBroughtMustBeTheSameForAll) {
  Start(Spec(2), 70);
  const v1::Snapshot snapshot = *bench_->Snapshot(10);
  job::SnapshotStates states = *job::OpenSnapshot(snapshot);
  states.state.mutable_layers(0)->set_bias(0, 0.5f);
  const v1::Snapshot other = job::MakeSnapshot(states.state);
  PushAllUntil(80);
  NewLife();
  EXPECT_FALSE(Wish(0, 11, snapshot).ok());
  const auto differs = IsRefusal(Code::kInvalidArgument, Reason::PAYLOAD_DIFFERS, "all that bring one must bring");
  EXPECT_THAT(Wish(1, 11, other), differs);
  EXPECT_THAT(Wish(0, 11, snapshot), differs);
  EXPECT_EQ(bench_->job().epoch(), 1);
}

TEST_F(JobRewindTest, WhatIsBroughtMustAgreeWithTheHistory) {
  Start(Spec(1), 9);
  job::SnapshotStates states = *job::OpenSnapshot(*bench_->Snapshot(5));
  NewLife();
  EXPECT_EQ(Wish(0, 6, job::MakeSnapshot(states.state)), absl::OkStatus());
  PushAllUntil(9);
  states.state.mutable_layers(0)->set_bias(0, 0.5f);
  const v1::Snapshot other = job::MakeSnapshot(states.state);
  const auto differs = IsRefusal(Code::kFailedPrecondition, Reason::PAYLOAD_DIFFERS, "they are not of one run");
  NewLife();
  EXPECT_THAT(Wish(0, 6, other), differs);
  NewLife();
  RewindTo(6);
  EXPECT_THAT(Wish(0, 6, other), differs) << "the step is open, and the state another";
}

TEST_F(JobRewindTest, AStateOfAnotherModelIsRefusedByName) {
  v1::JobSpec wider = Spec(1);
  wider.mutable_layers(1)->set_num_experts(6);
  Start(wider, 5);
  const v1::Snapshot snapshot = *bench_->Snapshot(5);
  Start(Spec(1), 9);
  NewLife();
  EXPECT_THAT(Wish(0, 6, snapshot), IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD,
                                              "layer \"b\" has num_experts 3 in the job and 6 in the state"));
  EXPECT_THAT(bench_->PutState(*job::OpenSnapshot(snapshot)),
              IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "num_experts"));
  EXPECT_TRUE(bench_->IsAt(9));
}

TEST_F(JobRewindTest, ASnapshotHasWhatTheJobGoesOnWith) {
  Start(Spec(2, /*lag=*/1), 70);
  const job::SnapshotStates states = *job::OpenSnapshot(*bench_->Snapshot(40));
  EXPECT_EQ(states.state.version().step(), 40);
  ASSERT_EQ(states.earlier.size(), 1);
  EXPECT_EQ(states.earlier[0].version().step(), 39);
  EXPECT_EQ(job::OpenSnapshot(*bench_->Snapshot(std::nullopt))->state.version().step(), 70);
  EXPECT_EQ(job::OpenSnapshot(*bench_->Snapshot(8))->state.version().step(), 8);
  EXPECT_THAT(bench_->Snapshot(7).status(), IsRefusal(Code::kFailedPrecondition, Reason::STATE_UNKNOWN, "step 7"))
      << "what routes the step after it is forgotten";
  EXPECT_THAT(bench_->Snapshot(71).status(), IsRefusal(Code::kFailedPrecondition, Reason::FUTURE_STEP, "step 71"));
}

TEST_F(JobRewindTest, AStateThatIsPutInMakesAllJoinAgain) {
  Start(Spec(2), 5);
  const job::SnapshotStates states = *job::OpenSnapshot(*bench_->Snapshot(3));
  PushAllUntil(9);
  const CallId parked = bench_->Push(0, 10);
  ASSERT_EQ(bench_->PutState(states), absl::OkStatus());
  EXPECT_THAT(bench_->AnswerTo(parked).status(), IsRefusal(Code::kFailedPrecondition, Reason::STALE_EPOCH, "step 3"));
  EXPECT_EQ(bench_->job().epoch(), 2);
  EXPECT_EQ(bench_->disk().state.version().epoch(), 2) << "its versions are its own";
  EXPECT_THAT(
      bench_->notices(),
      ElementsAre("job \"job\": it goes from step 9 to the state after step 3, from the state that was put in, in "
                  "epoch 2"));
  bench_->JoinAll();
  PushAllUntil(6);
  EXPECT_TRUE(bench_->IsAt(6));
}

// Whose last step had contributors that this job has not: it must be one that the next life can read.
TEST_F(JobRewindTest, AStateOfAJobWithMoreContributorsIsTakenWithoutThem) {
  Start(Spec(3, /*lag=*/1), 4);
  const job::SnapshotStates states = *job::OpenSnapshot(*bench_->Snapshot(4));
  ASSERT_EQ(states.state.last_commit().participants_size(), 3);
  Start(Spec(2, /*lag=*/1), 2);
  ASSERT_EQ(bench_->PutState(states), absl::OkStatus());
  EXPECT_THAT(bench_->disk().state.last_commit().participants(), ElementsAre(0, 1));
  const absl::StatusOr<v1::Snapshot> snapshot = bench_->Snapshot(4);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(job::OpenSnapshot(*snapshot).ok()) << job::OpenSnapshot(*snapshot).status();
  bench_->Restart();
  bench_->JoinAll();
  bench_->PushAll();
  EXPECT_EQ(bench_->job().committed_step(), 5);
}

TEST_F(JobRewindTest, ABiasOfZeroIsToldAndHaltsTheJobWhereItsPolicySaysSo) {
  for (const auto policy : {v1::JobSpec::InvariantPolicy::REPORT, v1::JobSpec::InvariantPolicy::HALT}) {
    v1::JobSpec spec = Spec(3);
    spec.set_invariant_policy(policy);
    Start(spec, 5);
    job::SnapshotStates states = *job::OpenSnapshot(*bench_->Snapshot(5));
    for (float& value : *states.state.mutable_layers(0)->mutable_bias()) value = 0;
    ASSERT_EQ(bench_->PutState(states), absl::OkStatus());
    ASSERT_FALSE(bench_->violations().empty());
    const ViolationEvent& told = bench_->violations().back();
    EXPECT_EQ(told.step, 5);
    EXPECT_EQ(told.violation.kind(), v1::Violation::ZERO_BIAS);
    EXPECT_THAT(told.violation.message(), HasSubstr("layer \"a\": the bias is 0 for all experts after step 5"));
    ASSERT_EQ(bench_->disk().state.violations_size(), 1);
    EXPECT_EQ(bench_->disk().state.halt().step(), policy == v1::JobSpec::InvariantPolicy::HALT ? 6 : 0);
    bench_->JoinAll();
    bench_->PushAll();
    EXPECT_EQ(bench_->disk().state.layers(0).last_reason() == v1::UpdateReason::HALTED,
              policy == v1::JobSpec::InvariantPolicy::HALT);
  }
}

TEST_F(JobRewindTest, WhoCatchesUpJoinsBehindTheJob) {
  Start(Spec(2), 9);
  NewLife();
  v1::JoinRequest request = WishOf(0, 4);
  request.set_rewind(false);
  EXPECT_THAT(bench_->Join(request).status(), IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND, "catch up"));
  request.set_catch_up(true);
  const absl::StatusOr<v1::JoinResponse> joined = bench_->Join(request);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->open_step(), 10);
  v1::PushRequest push = bench_->PushOf(0, 4);
  push.set_incarnation(Incarnation(0));
  EXPECT_THAT(bench_->AnswerTo(bench_->Push(push)).status(),
              IsRefusal(Code::kFailedPrecondition, Reason::LATE_STEP, "was committed before contributor 0 joined"));
  request.set_next_step(11);
  EXPECT_THAT(bench_->Join(request).status(), IsRefusal(Code::kFailedPrecondition, Reason::STEP_AHEAD, ""));
}

}  // namespace
}  // namespace evenkeel::core
