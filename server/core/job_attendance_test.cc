// What a job does about contributors that do not come: one test for each sentence of the contract. How it judges them
// is tested in attendance_test.cc.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"
#include "server/core/job_bench.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Code = absl::StatusCode;
using Policy = v1::JobSpec::MissingPolicy;
using Reason = v1::ErrorDetail;
using State = v1::ContributorState;

// Lost after 10 s, a straggler after 5, overdue after 20, and a grace of 30.
v1::JobSpec Spec(int contributors, Policy::Kind policy, int min_contributors = 1) {
  v1::JobSpec spec = job::TestSpec(contributors);
  spec.set_missing_policy(policy);
  v1::Membership* membership = spec.mutable_membership();
  membership->set_heartbeat_timeout_ms(10'000);
  membership->set_straggler_deadline_ms(5'000);
  membership->set_step_deadline_ms(20'000);
  membership->set_recovery_grace_ms(30'000);
  membership->set_min_contributors(min_contributors);
  return spec;
}

std::vector<int> Participants(const Reply& reply) {
  return {(*reply)->participants().begin(), (*reply)->participants().end()};
}

StateKind StateOf(const JobBench& bench, int contributor) {
  return const_cast<JobBench&>(bench).job().Describe().contributors(contributor).state();
}

// Everybody but `silent` is alive, until `time` has passed.
void LetPass(JobBench* bench, absl::Duration time, const std::vector<int>& alive) {
  for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
    for (const int contributor : alive) ASSERT_TRUE(bench->Heartbeat(contributor).ok());
    bench->Wait(absl::Seconds(1));
  }
}

TEST(JobAttendanceTest, WaitWaitsForWhoIsLostAndNamesItOnce) {
  JobBench bench(Spec(3, Policy::WAIT));
  bench.JoinAll();
  const CallId call = bench.Push(0, 1);
  bench.Push(1, 1);
  LetPass(&bench, absl::Seconds(100), {0, 1});
  EXPECT_TRUE(bench.IsWaiting(call));
  EXPECT_EQ(StateOf(bench, 2), State::LOST);
  EXPECT_THAT(bench.job().Summary().stragglers(), ElementsAre(2));
  EXPECT_THAT(bench.notices(),
              ElementsAre("job \"job\": step 1 has waited 5s for contributor 2; 2 of 3 have pushed",
                          "job \"job\": not heard of for longer than heartbeat_timeout_ms: contributor 2"));
  bench.Push(2, 1);
  EXPECT_FALSE(bench.IsWaiting(call));
  EXPECT_TRUE(bench.IsAt(1));
  EXPECT_THAT(bench.job().Summary().stragglers(), IsEmpty());
  bench.Wait(absl::Seconds(1));
  EXPECT_EQ(bench.notices().back(), "job \"job\": no contributor is lost any more");
}

TEST(JobAttendanceTest, ThatAllHaveJoinedIsToldOnceInALife) {
  JobBench bench(Spec(2, Policy::WAIT));
  ASSERT_TRUE(bench.Join(0, 100).ok());
  EXPECT_EQ(bench.times_all_joined(), 0);
  bench.JoinAll();
  bench.JoinAll();
  EXPECT_EQ(bench.times_all_joined(), 1);
  bench.Restart();
  bench.JoinAll();
  EXPECT_EQ(bench.times_all_joined(), 2);
}

TEST(JobAttendanceTest, AStragglerOfManyStepsIsToldOnce) {
  JobBench bench(Spec(3, Policy::WAIT));
  bench.JoinAll();
  for (uint64_t step = 1; step <= 4; ++step) {
    bench.Push(0, step);
    bench.Push(1, step);
    bench.Wait(absl::Seconds(6));
    bench.Push(2, step);
  }
  EXPECT_THAT(bench.notices(), SizeIs(1));
  bench.PushAll();  // step 5, in time
  bench.Push(0, 6);
  bench.Push(1, 6);
  bench.Wait(absl::Seconds(6));
  EXPECT_THAT(bench.notices(), SizeIs(2));
}

TEST(JobAttendanceTest, FailTellsEverybodyWhoTookPart) {
  JobBench bench(Spec(3, Policy::FAIL));
  bench.JoinAll();
  bench.PushAllUntil(2);
  const CallId waiting = bench.Push(0, 3);
  LetPass(&bench, absl::Seconds(9), {0, 1});
  EXPECT_TRUE(bench.IsWaiting(waiting));
  bench.Wait(absl::Seconds(1));
  ASSERT_FALSE(bench.IsWaiting(waiting));
  EXPECT_THAT(bench.AnswerTo(waiting).status(),
              job::IsRefusal(Code::kAborted, Reason::JOB_FAILED, "contributor 2 (lost)"));
  EXPECT_THAT(bench.AnswerTo(bench.Push(1, 3)).status(), job::IsRefusal(Code::kAborted, Reason::JOB_FAILED, "step 3"));
  EXPECT_THAT(bench.Heartbeat(0).status(), job::IsRefusal(Code::kAborted, Reason::JOB_FAILED, "step 3"));
  EXPECT_THAT(bench.Join(bench.JoinOf(0)).status(), job::IsRefusal(Code::kAborted, Reason::JOB_FAILED, "step 3"));
  EXPECT_THAT(bench.AnswerTo(bench.Push(2, 3)).status(), job::IsRefusal(Code::kAborted, Reason::JOB_FAILED, "step 3"))
      << "and the lost one, when it comes back";
  EXPECT_THAT(bench.job().Summary().failure(), HasSubstr("step 3 has failed without contributor 2"));
  EXPECT_TRUE(bench.IsAt(2));
}

TEST(JobAttendanceTest, AFailedJobGoesOnWithNewProcesses) {
  JobBench bench(Spec(2, Policy::FAIL));
  bench.JoinAll();
  bench.PushAllUntil(1);
  bench.Push(0, 2);
  LetPass(&bench, absl::Seconds(20), {0, 1});
  EXPECT_EQ(StateOf(bench, 0), State::FAILED);
  EXPECT_EQ(StateOf(bench, 1), State::FAILED) << "alive, and did not get on";
  std::vector<CallId> calls;
  for (const int contributor : {0, 1}) {
    EXPECT_THAT(bench.job().Summary().failure(), HasSubstr("beyond the deadline"));
    ASSERT_TRUE(bench.Join(contributor, 200 + contributor).ok());
    v1::PushRequest push = bench.PushOf(contributor, 2);
    push.set_incarnation(200 + contributor);
    calls.push_back(bench.Push(std::move(push)));
  }
  EXPECT_EQ(bench.job().Summary().failure(), "");
  EXPECT_TRUE(bench.AnswerTo(calls[0]).ok());
  EXPECT_TRUE(bench.IsAt(2));
}

TEST(JobAttendanceTest, NobodyFailsAJobThatNobodyWaitsFor) {
  JobBench bench(Spec(2, Policy::FAIL));
  bench.JoinAll();
  bench.PushAllUntil(3);
  bench.Wait(absl::Seconds(1000));
  EXPECT_EQ(bench.job().Summary().failure(), "");
}

TEST(JobAttendanceTest, CommitWithoutGoesOnWithoutWhoIsLostAndTellsAllTheSame) {
  JobBench bench(Spec(3, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(2);
  const CallId first = bench.Push(0, 3);
  const CallId second = bench.Push(1, 3);
  LetPass(&bench, absl::Seconds(9), {0, 1});
  EXPECT_TRUE(bench.IsWaiting(first));
  bench.Wait(absl::Seconds(1));
  EXPECT_THAT(Participants(bench.AnswerTo(first)), ElementsAre(0, 1));
  EXPECT_EQ(bench.AnswerTo(first)->get(), bench.AnswerTo(second)->get()) << "one reply, shared by all";
  EXPECT_THAT(bench.commits().back().missing, ElementsAre(2));
  EXPECT_TRUE(bench.IsAt(3));
  EXPECT_THAT(bench.notices(),
              ElementsAre("job \"job\": step 3 has waited 5s for contributor 2; 2 of 3 have pushed",
                          "job \"job\": step 3 is committed without contributor 2: nobody else is expected",
                          "job \"job\": not heard of for longer than heartbeat_timeout_ms: contributor 2"));

  bench.Push(0, 4);
  EXPECT_THAT(Participants(bench.AnswerTo(bench.Push(1, 4))), ElementsAre(0, 1)) << "it is not waited for any more";
  EXPECT_TRUE(bench.IsAt(4));
  EXPECT_THAT(bench.notices(), SizeIs(3)) << "one line for both steps";
}

TEST(JobAttendanceTest, TheCountsOfWhoWasMissingStayOutAndItTakesPartAgain) {
  JobBench bench(Spec(2, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(1);
  bench.Push(0, 2);
  LetPass(&bench, absl::Seconds(20), {0, 1});
  EXPECT_EQ(bench.job().committed_step(), 2u);
  EXPECT_EQ(StateOf(bench, 1), State::LATE) << "alive, and not awaited";
  bench.Push(0, 3);
  EXPECT_EQ(bench.job().committed_step(), 3u);

  const CallId late = bench.Push(1, 2);
  EXPECT_EQ(bench.result(), PushResult::kLate);
  EXPECT_EQ((*bench.AnswerTo(late))->version().step(), 3u);
  EXPECT_TRUE(bench.IsAt(3));
  EXPECT_EQ(StateOf(bench, 1), State::AWAITED);
  bench.Push(0, 4);
  EXPECT_EQ(bench.job().committed_step(), 3u) << "it is waited for again";
  EXPECT_THAT(Participants(bench.AnswerTo(bench.Push(1, 4))), ElementsAre(0, 1));
  EXPECT_TRUE(bench.IsAt(4));
  EXPECT_EQ(bench.notices().back(), "job \"job\": all take part in step 4 again");
}

TEST(JobAttendanceTest, AStepWaitsForEnough) {
  JobBench bench(Spec(3, Policy::COMMIT_WITHOUT, /*min_contributors=*/2));
  bench.JoinAll();
  const CallId call = bench.Push(0, 1);
  bench.Wait(absl::Seconds(1000));
  EXPECT_TRUE(bench.IsWaiting(call));
  bench.Push(2, 1);
  EXPECT_THAT(Participants(bench.AnswerTo(call)), ElementsAre(0, 2));
}

TEST(JobAttendanceTest, WhoLeavesIsNotWaitedFor) {
  JobBench bench(Spec(3, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(1);
  const CallId call = bench.Push(0, 2);
  bench.Push(1, 2);
  EXPECT_TRUE(bench.Leave(2, JobBench::Usual(2)).ok());
  EXPECT_THAT(Participants(bench.AnswerTo(call)), ElementsAre(0, 1)) << "the step was complete without it";
  EXPECT_EQ(StateOf(bench, 2), State::LEFT);

  bench.Restart();
  EXPECT_EQ(StateOf(bench, 2), State::LEFT) << "that is remembered";
  bench.Join(bench.JoinOf(0)).value();
  bench.Join(bench.JoinOf(1)).value();
  bench.Push(0, 3);
  EXPECT_FALSE(bench.IsWaiting(bench.Push(1, 3)));
  EXPECT_TRUE(bench.IsAt(3));
}

TEST(JobAttendanceTest, WithWaitAStepWaitsForAnotherInThePlaceOfWhoHasLeft) {
  JobBench bench(Spec(2, Policy::WAIT));
  bench.JoinAll();
  const CallId call = bench.Push(0, 1);
  EXPECT_TRUE(bench.Leave(1, JobBench::Usual(1)).ok());
  bench.Wait(absl::Seconds(1000));
  EXPECT_TRUE(bench.IsWaiting(call));
}

TEST(JobAttendanceTest, WhoComesBetweenStepsIsWaitedForFromItsStepOn) {
  JobBench bench(Spec(2, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(1);
  EXPECT_TRUE(bench.Leave(1, JobBench::Usual(1)).ok());
  v1::JoinRequest join = bench.JoinOf(1);
  join.set_incarnation(201);
  join.set_next_step(4);
  EXPECT_THAT(bench.Join(join).status(), job::IsRefusal(Code::kFailedPrecondition, Reason::STEP_AHEAD, "4"));
  join.set_next_step(3);
  ASSERT_TRUE(bench.Join(join).ok());
  EXPECT_EQ(StateOf(bench, 1), State::COMING);
  EXPECT_FALSE(bench.IsWaiting(bench.Push(0, 2)));
  const CallId call = bench.Push(0, 3);
  EXPECT_TRUE(bench.IsWaiting(call)) << "step 3 waits for it";
  v1::PushRequest push = bench.PushOf(1, 3);
  push.set_incarnation(201);
  bench.Push(std::move(push));
  EXPECT_THAT(Participants(bench.AnswerTo(call)), ElementsAre(0, 1));
}

TEST(JobAttendanceTest, NothingIsDecidedInTheGraceAfterARestart) {
  for (const auto policy : {Policy::FAIL, Policy::COMMIT_WITHOUT}) {
    JobBench bench(Spec(2, policy));
    bench.JoinAll();
    bench.PushAllUntil(1);
    bench.Restart();
    bench.Join(bench.JoinOf(0)).value();
    const CallId call = bench.Push(0, 2);
    LetPass(&bench, absl::Seconds(29), {0});
    EXPECT_EQ(StateOf(bench, 1), State::AWAY);
    EXPECT_TRUE(bench.IsWaiting(call));
    LetPass(&bench, absl::Seconds(1), {0});
    EXPECT_FALSE(bench.IsWaiting(call));
    EXPECT_EQ(bench.AnswerTo(call).ok(), policy == Policy::COMMIT_WITHOUT);
  }
}

TEST(JobAttendanceTest, TheDeadlinesCanBeChangedWhileTheJobRuns) {
  JobBench bench(Spec(2, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  v1::UpdateConfigRequest request;
  request.mutable_membership()->set_step_deadline_ms(2'000);
  ASSERT_TRUE(bench.UpdateConfig(request).ok());
  const CallId call = bench.Push(0, 1);
  bench.Wait(absl::Seconds(1));
  EXPECT_TRUE(bench.IsWaiting(call));
  bench.Wait(absl::Seconds(1));
  EXPECT_FALSE(bench.IsWaiting(call));
  request.Clear();
  request.set_missing_policy(Policy::WAIT);
  EXPECT_EQ(bench.UpdateConfig(request)->effective().missing_policy(), Policy::WAIT);
  request.Clear();
  request.mutable_membership()->set_min_contributors(3);
  EXPECT_THAT(bench.UpdateConfig(request).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "min_contributors is 3"));
}

TEST(JobAttendanceTest, ARewindWaitsForWhoHasNotLeft) {
  JobBench bench(Spec(3, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(3);
  EXPECT_TRUE(bench.Leave(2, JobBench::Usual(2)).ok());
  v1::JoinRequest join = bench.JoinOf(0);
  join.set_incarnation(200);
  join.set_rewind(true);
  join.set_next_step(2);
  EXPECT_THAT(bench.Join(join).status(), job::IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 2"));
  join.set_contributor(1);
  join.set_incarnation(201);
  *join.mutable_ranks() = bench.JoinOf(1).ranks();
  ASSERT_TRUE(bench.Join(join).ok());
  EXPECT_EQ(bench.job().committed_step(), 1u);
}

TEST(JobAttendanceTest, ARewindWithoutWhoIsGoneWaitsForTheDeadline) {
  JobBench bench(Spec(3, Policy::COMMIT_WITHOUT, /*min_contributors=*/2));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const auto ask = [&](int contributor) {
    v1::JoinRequest join = bench.JoinOf(contributor);
    join.set_incarnation(200 + contributor);
    join.set_rewind(true);
    join.set_next_step(2);
    return bench.Join(join).status();
  };
  EXPECT_THAT(ask(0), job::IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 3"));
  bench.Wait(absl::Seconds(20));
  EXPECT_THAT(ask(0), job::IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 3")) << "too few";
  EXPECT_TRUE(ask(1).ok());
  EXPECT_EQ(bench.job().committed_step(), 1u);
}

// It is one of two that were started on copies of one state.
TEST(JobAttendanceTest, NothingIsDecidedWithoutAnybodyWhereALaterCoordinatorHasTheJob) {
  for (const auto policy : {Policy::FAIL, Policy::COMMIT_WITHOUT}) {
    JobBench bench(Spec(2, policy));
    bench.JoinAll();
    bench.PushAllUntil(1);
    v1::PushRequest stranger = bench.PushOf(1, 2);
    stranger.set_incarnation(999);
    stranger.set_epoch(7);
    bench.Push(stranger);
    EXPECT_THAT(bench.notices(), IsEmpty()) << "anybody can say so";
    v1::PushRequest elsewhere = bench.PushOf(1, 2);
    elsewhere.set_epoch(7);
    EXPECT_THAT(bench.AnswerTo(bench.Push(elsewhere)).status(),
                job::IsRefusal(Code::kFailedPrecondition, Reason::EPOCH_AHEAD, "epoch 7"));
    EXPECT_THAT(bench.notices(), ElementsAre(HasSubstr("contributor 1 is with a coordinator of a later epoch")));
    const CallId call = bench.Push(0, 2);
    bench.Wait(absl::Seconds(1000));
    EXPECT_TRUE(bench.IsWaiting(call));
    EXPECT_EQ(bench.job().committed_step(), 1u);
  }
}

TEST(JobAttendanceTest, NobodyRewindsAJobThatOthersTrain) {
  JobBench bench(Spec(2, Policy::COMMIT_WITHOUT));
  bench.JoinAll();
  bench.PushAllUntil(3);
  v1::JoinRequest join = bench.JoinOf(0);
  join.set_incarnation(200);
  join.set_rewind(true);
  join.set_next_step(2);
  for (int minute = 0; minute < 5; ++minute) {
    EXPECT_THAT(bench.Join(join).status(), job::IsRefusal(Code::kUnavailable, Reason::REWIND_PENDING, "1 of 2"));
    LetPass(&bench, absl::Minutes(1), {1});
  }
  EXPECT_EQ(bench.job().committed_step(), 3u);
}

TEST(JobAttendanceTest, ProcessesBringFiguresWithTheirHeartbeats) {
  JobBench bench(Spec(2, Policy::WAIT));
  bench.JoinAll();
  EXPECT_FALSE(bench.job().Describe().contributors(0).has_figures());
  Effects effects;
  v1::HeartbeatRequest beat;
  beat.set_contributor(0);
  beat.set_incarnation(bench.job().Describe().contributors(0).incarnation());
  beat.set_epoch(bench.job().epoch());
  beat.mutable_figures()->set_undelivered_steps(3);
  beat.mutable_figures()->set_counting_mode("train");
  ASSERT_TRUE(bench.job().Heartbeat(absl::UnixEpoch(), beat, &effects).ok());
  const v1::HeartbeatRequest told = beat;
  // One without any leaves them; one that is none is refused.
  beat.clear_figures();
  ASSERT_TRUE(bench.job().Heartbeat(absl::UnixEpoch(), beat, &effects).ok());
  beat.mutable_figures()->set_counting_mode(std::string(33, 'x'));
  EXPECT_THAT(bench.job().Heartbeat(absl::UnixEpoch(), beat, &effects).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "counting_mode has 33 bytes"));
  EXPECT_EQ(bench.job().Describe().contributors(0).figures().SerializeAsString(), told.figures().SerializeAsString());
  EXPECT_FALSE(bench.job().Describe().contributors(1).has_figures());

  ASSERT_TRUE(bench.Join(0, 200).ok());
  EXPECT_FALSE(bench.job().Describe().contributors(0).has_figures()) << "another process holds the place";
}

TEST(JobAttendanceTest, HeartbeatsOfStrangersAreRefusedAsTheirPushesAre) {
  JobBench bench(Spec(2, Policy::WAIT));
  bench.JoinAll();
  bench.Restart();
  EXPECT_THAT(bench.Heartbeat(0).status(), job::IsRefusal(Code::kFailedPrecondition, Reason::NOT_JOINED, "join"));
  ASSERT_TRUE(bench.Join(0, 200).ok());
  EXPECT_THAT(bench.Heartbeat(0).status(), job::IsRefusal(Code::kAlreadyExists, Reason::REPLACED, "newer"));
  Effects effects;
  v1::HeartbeatRequest request;
  request.set_contributor(7);
  request.set_epoch(bench.job().epoch());
  EXPECT_THAT(bench.job().Heartbeat(absl::UnixEpoch(), request, &effects).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "contributor is 7"));
  request.set_contributor(0);
  request.set_epoch(1);
  EXPECT_THAT(bench.job().Heartbeat(absl::UnixEpoch(), request, &effects).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::STALE_EPOCH, "epoch 1"));
}

}  // namespace
}  // namespace evenkeel::core
