// What a job is after its coordinator has gone and come back. One test for each sentence of the contract.

#include <functional>
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
using Reason = v1::ErrorDetail;

TEST(JobRestartTest, EveryLifeHasAnEpochOfItsOwn) {
  JobBench bench(job::TestSpec(1));
  EXPECT_EQ(bench.job().epoch(), 1u);
  for (uint64_t epoch = 2; epoch <= 4; ++epoch) {
    bench.Restart();
    EXPECT_EQ(bench.job().epoch(), epoch);
    EXPECT_EQ(bench.disk().epoch, epoch) << "remembered though nothing was committed in it";
  }
  bench.JoinAll();
  bench.PushAllUntil(1);
  EXPECT_EQ(bench.job().State().version().epoch(), 4u);
  bench.Restart();
  EXPECT_EQ(bench.job().epoch(), 5u);
  EXPECT_EQ(bench.job().State().version().epoch(), 4u) << "a version keeps the epoch that committed it";
}

TEST(JobRestartTest, TheEpochIsTheOnlyWrite) {
  JobBench bench(job::TestSpec(1));
  Effects effects;
  ASSERT_TRUE(Job::Restore(absl::UnixEpoch(), bench.disk(), &effects).ok());
  ASSERT_THAT(effects.writes, SizeIs(1));
  EXPECT_EQ(effects.writes[0].job, "job");
  EXPECT_EQ(effects.writes[0].epoch, 2u);
  EXPECT_EQ(effects.writes[0].state, nullptr);
  EXPECT_THAT(effects.writes[0].versions, IsEmpty());
  EXPECT_THAT(effects.writes[0].members, IsEmpty());
  EXPECT_THAT(effects.answers, IsEmpty());
}

TEST(JobRestartTest, TheStateIsThatOfTheLastCommittedStep) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(5);
  bench.Push(0, 6);
  const std::string state = bench.job().State().SerializeAsString();
  bench.Restart();
  EXPECT_EQ(bench.job().State().SerializeAsString(), state);
  EXPECT_EQ(bench.job().open_step(), 6u);
}

TEST(JobRestartTest, ContributorsAreSentToJoinAgain) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  const v1::PushRequest old = bench.PushOf(0, 1);
  bench.Restart();
  const absl::Status status = bench.AnswerTo(bench.Push(old)).status();
  EXPECT_THAT(status, job::IsRefusal(Code::kFailedPrecondition, Reason::STALE_EPOCH,
                                     "the caller joined in epoch 1, the coordinator has restarted into 2"));
  EXPECT_EQ(DetailOf(status).epoch(), 2u);
  EXPECT_THAT(bench.AnswerTo(bench.Push(0, 1)).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::NOT_JOINED, "contributor 0 has not joined"))
      << "knowing the epoch is not joining";
}

TEST(JobRestartTest, TheOpenStepIsPushedAgainByAll) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(2);
  bench.Push(0, 3);
  bench.Restart();
  const auto response = bench.Join(bench.JoinOf(0));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->epoch(), 2u);
  EXPECT_EQ(response->open_step(), 3u);
  EXPECT_EQ(response->version().version().epoch(), 1u);
  bench.JoinAll();
  const CallId first = bench.Push(1, 3);
  EXPECT_TRUE(bench.IsWaiting(first)) << "what was pushed before is forgotten";
  bench.Push(0, 3);
  EXPECT_EQ((*bench.AnswerTo(first))->version().epoch(), 2u);
  EXPECT_TRUE(bench.IsAt(3));
}

TEST(JobRestartTest, ARestartAtEveryStepDoesNotShow) {
  for (const int variant : {0, 1, 2, 3}) {
    v1::JobSpec spec = variant < 2 ? job::TestSpec(2) : job::TestSpecWithStreams(2);
    spec.set_lag(variant % 2);
    JobBench bench(spec);
    for (uint64_t step = 1; step <= 10; ++step) {
      bench.JoinAll();
      bench.PushAll();
      bench.Restart();
    }
    EXPECT_TRUE(bench.IsAt(10));
    EXPECT_EQ(bench.job().epoch(), 11u);
  }
}

// Contributor 0 pushes the open step, routed with version `step` of epoch 1.
void PushStale(JobBench& bench, uint64_t step) {
  v1::PushRequest push = bench.PushOf(0, bench.job().open_step());
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(step);
  bench.Push(push);
}

TEST(JobRestartTest, ARestartInTheMiddleOfAMoveDoesNotShow) {
  for (const int variant : {0, 1, 2, 3}) {
    const int lag = variant % 2;
    v1::JobSpec spec = variant < 2 ? job::TestSpec(1) : job::TestSpecWithStreams(1);
    spec.set_lag(lag);
    JobBench bench(spec);
    bench.JoinAll();
    bench.PushAllUntil(4);
    for (uint64_t step = 5; step <= 12; ++step) {
      const std::string state = bench.job().State().SerializeAsString();
      bench.Restart();
      EXPECT_EQ(bench.job().State().SerializeAsString(), state);
      bench.JoinAll();
      // The move of step 4 goes on.
      PushStale(bench, 3 - lag);
      ASSERT_TRUE(bench.IsAt(step)) << "lag " << lag << ", step " << step;
      EXPECT_EQ(bench.job().State().move().base_step(), 3u);
    }
    bench.Restart();
    bench.JoinAll();
    bench.PushAllUntil(14);
    EXPECT_TRUE(bench.IsAt(14));
  }
}

TEST(JobRestartTest, AMoveOutlivesARestartAfterASkippedStep) {
  JobBench straight(job::TestSpec(1));
  JobBench restarted(job::TestSpec(1));
  for (JobBench* bench : {&straight, &restarted}) {
    for (uint64_t step = 1; step <= 8; ++step) {
      bench->JoinAll();
      v1::PushRequest push = bench->PushOf(0, step);
      push.mutable_routed_with()->set_epoch(1);
      push.mutable_routed_with()->set_step(0);
      push.set_ok(step % 3 != 0);
      bench->Push(push);
      if (bench == &restarted) bench->Restart();
    }
  }
  v1::JobState state = restarted.job().State();
  state.mutable_version()->set_epoch(1);
  EXPECT_EQ(state.SerializeAsString(), straight.job().State().SerializeAsString());
  EXPECT_EQ(state.move().base_step(), 0u);
}

TEST(JobRestartTest, OnlyTheStatesThatAreNeededAreKept) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = job::TestSpec(1);
    spec.set_lag(lag);
    JobBench bench(spec);
    bench.JoinAll();
    const auto kept = [&] {
      std::vector<uint64_t> steps;
      for (const v1::JobState& state : bench.disk().earlier) steps.push_back(state.version().step());
      return steps;
    };
    EXPECT_THAT(kept(), IsEmpty());
    bench.PushAllUntil(1);
    EXPECT_THAT(kept(), ElementsAre(0));
    bench.PushAllUntil(4);
    EXPECT_THAT(kept(), ElementsAre(3));
    for (int i = 0; i < 3; ++i) PushStale(bench, 3 - lag);
    EXPECT_EQ(kept(), lag == 0 ? std::vector<uint64_t>({3}) : std::vector<uint64_t>({3, 6}));
    bench.PushAllUntil(9);
    EXPECT_THAT(kept(), ElementsAre(8));
  }
}

TEST(JobRestartTest, ACommitThatWasNotDurableIsMadeAgain) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(1);
  Effects lost;
  v1::PushRequest push = bench.PushOf(0, 2);
  bench.job().Push(absl::UnixEpoch(), 99, &push, &lost);
  ASSERT_THAT(lost.answers, SizeIs(1));
  const uint64_t hash = (*lost.answers[0].reply)->state_hash();

  bench.Restart();
  EXPECT_EQ(bench.job().open_step(), 2u);
  bench.JoinAll();
  const CallId again = bench.Push(0, 2);
  EXPECT_EQ((*bench.AnswerTo(again))->version().epoch(), 2u);
  EXPECT_EQ((*bench.AnswerTo(again))->state_hash(), hash);
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers that were lost

TEST(JobRestartTest, ALostAnswerIsHeardOnJoining) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.Push(0, 1);
  const CallId lost = bench.Push(1, 1);
  const std::string reply = (*bench.AnswerTo(lost))->SerializeAsString();
  bench.Restart();
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_next_step(1);
  const auto response = bench.Join(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->open_step(), 2u);
  EXPECT_EQ(response->version().SerializeAsString(), reply) << "byte for byte";
}

TEST(JobRestartTest, ALostAnswerIsHeardOnPushingAgain) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.Push(0, 1);
  const CallId lost = bench.Push(1, 1);
  bench.Restart();
  bench.JoinAll();
  const CallId late = bench.Push(0, 1);
  EXPECT_EQ(bench.result(), PushResult::kLate);
  ASSERT_TRUE(bench.AnswerTo(late).ok()) << bench.AnswerTo(late).status();
  EXPECT_EQ((*bench.AnswerTo(late))->SerializeAsString(), (*bench.AnswerTo(lost))->SerializeAsString());
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobRestartTest, AStrangersLatePushIsStillToldApart) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(2);
  bench.Restart();
  ASSERT_TRUE(bench.Join(0, 7).ok());
  v1::PushRequest push = bench.PushOf(0, 2);
  push.set_incarnation(7);
  EXPECT_EQ(ReasonOf(bench.AnswerTo(bench.Push(push)).status()), Reason::LATE_STEP);
}

// ---------------------------------------------------------------------------------------------------------------------
// Members

TEST(JobRestartTest, TheReplacedStayReplaced) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  ASSERT_TRUE(bench.Join(0, 7).ok());
  bench.Restart();
  EXPECT_EQ(ReasonOf(bench.Join(bench.JoinOf(0)).status()), Reason::REPLACED);
  EXPECT_EQ(ReasonOf(bench.AnswerTo(bench.Push(0, 1)).status()), Reason::REPLACED);
  v1::PushRequest stale = bench.PushOf(0, 1);
  stale.set_epoch(1);
  EXPECT_EQ(ReasonOf(bench.AnswerTo(bench.Push(stale)).status()), Reason::REPLACED) << "stop comes before join again";
}

TEST(JobRestartTest, JoiningAgainIsNotJoiningAnew) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  bench.Restart();
  bench.JoinAll();
  EXPECT_EQ(bench.disk().members[0].joined_after(), 0u);
  EXPECT_THAT(bench.disk().members[0].replaced(), IsEmpty());
}

TEST(JobRestartTest, ANewIncarnationMayComeInsteadOfTheOldOne) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  bench.Restart();
  ASSERT_TRUE(bench.Join(0, 7).ok());
  EXPECT_EQ(ReasonOf(bench.Join(bench.JoinOf(0)).status()), Reason::REPLACED);
}

TEST(JobRestartTest, WhoLeftHasLeft) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  ASSERT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  bench.Restart();
  EXPECT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  EXPECT_EQ(bench.job().Describe().contributors(0).incarnation(), 0u);
  EXPECT_EQ(bench.job().Describe().contributors(1).incarnation(), JobBench::Usual(1));
}

TEST(JobRestartTest, OneMayLeaveWithoutJoiningAgain) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.Restart();
  EXPECT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  EXPECT_EQ(bench.disk().members[0].incarnation(), 0u);
}

// ---------------------------------------------------------------------------------------------------------------------
// Damage

TEST(JobRestartTest, ADamagedRecordIsNoJob) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(3);
  struct Damage {
    std::function<void(JobRecord*)> make;
    const char* sentence;
  };
  const Damage damages[] = {
      {[](JobRecord* r) { r->state.mutable_spec()->set_contributors(0); }, "job.contributors is 0"},
      {[](JobRecord* r) { r->state.mutable_spec()->mutable_layers()->RemoveLast(); }, "the state has 2 layers"},
      {[](JobRecord* r) { r->state.mutable_layers(1)->mutable_bias()->RemoveLast(); },
       "layer \"b\" stream 0 does not fit"},
      {[](JobRecord* r) { r->versions.clear(); }, "the 0 kept versions do not lead to step 3"},
      {[](JobRecord* r) { r->versions.pop_back(); }, "the 3 kept versions do not lead to step 3"},
      {[](JobRecord* r) { r->versions.erase(r->versions.begin() + 1); }, "the 3 kept versions do not lead to step 3"},
      {[](JobRecord* r) { r->versions.back().epoch = 2; }, "do not lead to step 3 of epoch 1"},
      {[](JobRecord* r) { r->epoch = 0; }, "in epoch 0"},
      {[](JobRecord* r) { r->earlier.clear(); }, "the state of step 2 is missing, which that of step 3 needs"},
      {[](JobRecord* r) { r->state.mutable_move()->set_base_step(1); }, "the state of step 1 is missing"},
      {[](JobRecord* r) { r->earlier[0].mutable_layers(0)->mutable_ema()->RemoveLast(); },
       "layer \"a\" stream 0 does not fit"},
      {[](JobRecord* r) { r->state.mutable_move()->clear_layers(); }, "the move has 0 layers, the spec 2"},
      {[](JobRecord* r) { r->state.mutable_move()->mutable_layers(1)->add_counts(1); },
       "the move of layer \"b\" has 1 counts for 3 experts"},
      {[](JobRecord* r) { r->members[1].set_contributor(2); }, "a member is contributor 2 of 2"},
      {[](JobRecord* r) { r->members[0].set_contributor(-1); }, "a member is contributor -1 of 2"},
  };
  for (const Damage& damage : damages) {
    JobRecord record = bench.disk();
    damage.make(&record);
    Effects effects;
    const absl::Status status = Job::Restore(absl::UnixEpoch(), record, &effects).status();
    EXPECT_EQ(status.code(), Code::kDataLoss) << damage.sentence;
    EXPECT_THAT(std::string(status.message()), HasSubstr(damage.sentence));
    EXPECT_THAT(std::string(status.message()), HasSubstr("job \"job\": "));
    EXPECT_THAT(effects.writes, IsEmpty());
  }
}

}  // namespace
}  // namespace evenkeel::core
