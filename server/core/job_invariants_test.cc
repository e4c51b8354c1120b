// What a job makes of ranks whose numbers cannot be right. That the right violations are found is shown in
// invariants_test.cc.

#include <algorithm>

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

v1::JobSpec HaltingSpec(int contributors) {
  v1::JobSpec spec = job::TestSpec(contributors);
  spec.set_invariant_policy(v1::JobSpec::InvariantPolicy::HALT);
  return spec;
}

// Contributors 1 and 2 count the very same, from the open step on.
void MakeTwins(JobBench* bench) {
  bench->Change([&](job::ReferenceModel::Options* options) {
    options->tells_checks = true;
    options->twin_of = {{2, 1}};
    options->twins_from = bench->job().open_step();
  });
}

bool IsHalted(const v1::CommittedVersion& version) {
  return version.reasons(0) == v1::UpdateReason::HALTED && version.reasons(1) == v1::UpdateReason::HALTED;
}

TEST(JobInvariantsTest, WhatIsFoundIsInTheReplyTheStateAndTheEvents) {
  JobBench bench(job::TestSpec(3));
  bench.JoinAll();
  bench.PushAll();
  EXPECT_THAT(bench.violations(), IsEmpty());
  MakeTwins(&bench);
  bench.Push(0, 2);
  bench.Push(1, 2);
  const CallId call = bench.Push(2, 2);
  EXPECT_TRUE(bench.IsAt(2));
  const v1::CommittedVersion& reply = **bench.AnswerTo(call);
  ASSERT_THAT(reply.violations(), SizeIs(1));
  EXPECT_EQ(reply.violations(0).kind(), v1::Violation::SAME_TOKENS);
  EXPECT_THAT(reply.violations(0).ranks(), ElementsAre(1, 2));
  EXPECT_EQ(reply.reasons(0), v1::UpdateReason::MOVED) << "it is told, and the job goes on";
  ASSERT_THAT(bench.violations(), SizeIs(1));
  EXPECT_EQ(bench.violations()[0].job, "job");
  EXPECT_EQ(bench.violations()[0].step, 2u);
  EXPECT_THAT(bench.violations()[0].violation.message(), HasSubstr("ranks 1 and 2 counted the very same"));
  EXPECT_THAT(bench.job().Describe().violations(), SizeIs(1));
  EXPECT_FALSE(bench.job().Describe().has_halt());
  bench.Restart();
  EXPECT_TRUE(bench.IsAt(2));
  EXPECT_THAT(bench.violations(), SizeIs(1)) << "a new life does not tell it again";
}

TEST(JobInvariantsTest, AJobThatHaltsMovesNoLayerFromThatStepOn) {
  JobBench bench(HaltingSpec(3));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const v1::JobState before = bench.job().State();
  MakeTwins(&bench);
  bench.PushAllUntil(6);
  EXPECT_TRUE(bench.IsAt(6));
  v1::JobState after = bench.job().State();
  EXPECT_EQ(after.halt().step(), 4u);
  EXPECT_EQ(after.halt().cause().kind(), v1::Violation::SAME_TOKENS);
  EXPECT_EQ(after.position(), before.position() + 3) << "steps go on, and are counted";
  EXPECT_EQ(after.move().base_step(), before.move().base_step());
  EXPECT_EQ(after.move().routed_with().step(), before.move().routed_with().step());
  for (int i = 0; i < 2; ++i) {
    const v1::LayerState& layer = after.layers(i);
    EXPECT_EQ(layer.last_reason(), v1::UpdateReason::HALTED);
    EXPECT_EQ(layer.last_commit(), 6u);
    EXPECT_EQ(layer.last_update(), before.layers(i).last_update());
    EXPECT_GT(layer.total_tokens(), before.layers(i).total_tokens());
    EXPECT_TRUE(std::equal(layer.bias().begin(), layer.bias().end(), before.layers(i).bias().begin()));
    EXPECT_TRUE(std::equal(layer.ema().begin(), layer.ema().end(), before.layers(i).ema().begin()));
  }
}

TEST(JobInvariantsTest, AHaltOutlivesRestartsUntilItIsEnded) {
  JobBench bench(HaltingSpec(3));
  bench.JoinAll();
  MakeTwins(&bench);
  bench.PushAll();
  bench.Restart();
  EXPECT_TRUE(bench.job().Describe().has_halt());
  // The cause is gone.
  bench.Change([](job::ReferenceModel::Options* options) { options->twin_of.clear(); });
  bench.JoinAll();
  bench.Push(0, 2);
  bench.Push(1, 2);
  EXPECT_TRUE(IsHalted(**bench.AnswerTo(bench.Push(2, 2))));
  v1::UpdateConfigRequest resume;
  resume.set_resume(true);
  ASSERT_TRUE(bench.UpdateConfig(resume).ok());
  bench.Push(0, 3);
  bench.Push(1, 3);
  EXPECT_FALSE(IsHalted(**bench.AnswerTo(bench.Push(2, 3))));
  EXPECT_FALSE(bench.job().Describe().has_halt());
  EXPECT_EQ(bench.job().State().layers(0).last_update(), 3u);
}

TEST(JobInvariantsTest, ASkippedStepOfAHaltedJobSaysThatItWasSkipped) {
  JobBench bench(HaltingSpec(3), /*owned=*/{}, /*one_skip_in=*/3);
  bench.JoinAll();
  MakeTwins(&bench);
  bench.PushAllUntil(12);
  EXPECT_TRUE(bench.IsAt(12));
  EXPECT_TRUE(bench.job().State().has_halt());
}

TEST(JobInvariantsTest, ARankWithAnotherBiasIsNamedAlsoWhereItMovedOnByItself) {
  for (const bool provisional : {false, true}) {
    JobBench bench(job::TestSpec(2));
    bench.JoinAll();
    bench.PushAllUntil(2);
    v1::PushRequest push = bench.PushOf(1, 3);
    push.add_diverged_ranks(1);
    push.set_provisional(provisional);
    bench.Push(push);
    bench.Push(0, 3);
    ASSERT_THAT(bench.violations(), SizeIs(1));
    EXPECT_EQ(bench.violations()[0].violation.kind(), v1::Violation::BIAS_DIFFERS);
    EXPECT_THAT(bench.violations()[0].violation.ranks(), ElementsAre(1));
    // The next step is another's.
    bench.PushAll();
    EXPECT_THAT(bench.violations(), SizeIs(1));
    EXPECT_THAT(bench.job().State().violations(), IsEmpty());
  }
}

TEST(JobInvariantsTest, EvidenceThatDoesNotFitIsRefused) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  v1::PushRequest push = bench.PushOf(1, 1);
  push.add_diverged_ranks(0);
  EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "diverged_ranks: 0"));
  push = bench.PushOf(1, 1);
  for (int i = 0; i < 2; ++i) push.add_rank_fingerprints(5);
  EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::SHAPE_MISMATCH, "rank_fingerprints has 2 entries"));
}

TEST(JobInvariantsTest, WhatARankSaysOfItselfIsPartOfItsPush) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  v1::PushRequest push = bench.PushOf(1, 1);
  bench.Push(push);
  push.add_rank_fingerprints(5);
  EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::PAYLOAD_DIFFERS, "with other contents"));
}

TEST(JobInvariantsTest, CountsThatDoNotAddUpAreRefusedAndTold) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  v1::PushRequest wrong = bench.PushOf(1, 1);
  wrong.mutable_routed()->set_low(0, wrong.routed().low(0) + 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(bench.AnswerTo(bench.Push(wrong)).status(),
                job::IsRefusal(Code::kInvalidArgument, Reason::COUNTS_INCONSISTENT, "layer \"a\""));
  }
  ASSERT_THAT(bench.violations(), SizeIs(1)) << "once of a contributor and step";
  EXPECT_EQ(bench.violations()[0].violation.kind(), v1::Violation::COUNTS);
  EXPECT_EQ(bench.violations()[0].step, 1u);
  EXPECT_THAT(bench.violations()[0].violation.ranks(), ElementsAre(1));
  EXPECT_THAT(bench.violations()[0].violation.message(),
              testing::AllOf(HasSubstr("contributor 1 (rank 1) is refused"), HasSubstr("layer \"a\"")));
  bench.PushAll();
  EXPECT_THAT(bench.job().State().violations(), IsEmpty()) << "what is committed is right";
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobInvariantsTest, MoreDispatchedThanRoutedIsRefusedAndTold) {
  v1::JobSpec spec = job::TestSpec(2);
  for (v1::LayerSpec& layer : *spec.mutable_layers()) layer.set_counts_dispatched(true);
  JobBench bench(spec);
  bench.JoinAll();
  v1::PushRequest wrong = bench.PushOf(1, 1);
  wrong.mutable_dispatched()->set_low(0, wrong.routed().low(0) + 1);
  EXPECT_THAT(bench.AnswerTo(bench.Push(wrong)).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::DISPATCHED_INCONSISTENT, "layer \"a\", expert 0"));
  ASSERT_THAT(bench.violations(), SizeIs(1));
  EXPECT_EQ(bench.violations()[0].violation.kind(), v1::Violation::DISPATCHED);
  EXPECT_THAT(bench.violations()[0].violation.ranks(), ElementsAre(1));
}

// ---------------------------------------------------------------------------------------------------------------------
// The world

TEST(JobInvariantsTest, Pitfall07ARankThatNobodyStandsForIsNamedWhenTheLastContributorJoins) {
  v1::JobSpec spec = job::TestSpec(2);
  spec.set_world_size(5);
  JobBench bench(spec);
  v1::JoinRequest first = bench.JoinOf(0);
  for (const int rank : {0, 1, 2}) first.add_ranks(rank);
  ASSERT_TRUE(bench.Join(first).ok());
  v1::JoinRequest second = bench.JoinOf(1);
  second.add_ranks(4);
  EXPECT_THAT(bench.Join(second).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::INVALID_FIELD, "none stands for rank 3 of 5"));
  second.add_ranks(5);
  EXPECT_THAT(bench.Join(second).status(),
              job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, "5 must lie in 0 .. 4"));
  second.clear_ranks();
  for (const int rank : {3, 4}) second.add_ranks(rank);
  EXPECT_TRUE(bench.Join(second).ok());
}

TEST(JobInvariantsTest, AWorldThatIsNotToldIsNotChecked) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest join = bench.JoinOf(0);
  join.add_ranks(1000);
  EXPECT_TRUE(bench.Join(join).ok());
  EXPECT_TRUE(bench.Join(bench.JoinOf(1)).ok());
}

// As workers and coordinators of an earlier release have left it.
TEST(JobInvariantsTest, AJobThatWasMadeWithoutTheseFieldsGoesOnWithOldAndNewWorkers) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(2);
  bench.Restart();
  EXPECT_EQ(bench.disk().state.spec().invariant_policy(), v1::JobSpec::InvariantPolicy::KIND_UNSPECIFIED);
  EXPECT_EQ(bench.disk().state.spec().world_size(), 0);
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  v1::JoinRequest tells = bench.JoinOf(1);
  tells.mutable_job()->set_world_size(2);
  tells.mutable_job()->set_tokens_per_step(1000);
  tells.mutable_job()->set_invariant_policy(v1::JobSpec::InvariantPolicy::REPORT);
  EXPECT_TRUE(bench.Join(tells).ok());
  tells.mutable_job()->set_invariant_policy(v1::JobSpec::InvariantPolicy::HALT);
  EXPECT_THAT(bench.Join(tells).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "invariant_policy"));
}

TEST(JobInvariantsTest, WorldsAndStepsThatAreToldMustBeTheSame) {
  v1::JobSpec spec = job::TestSpec(2);
  spec.set_world_size(2);
  spec.set_tokens_per_step(100);
  JobBench bench(spec);
  v1::JoinRequest join = bench.JoinOf(0);
  join.mutable_job()->set_world_size(3);
  EXPECT_THAT(bench.Join(join).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "world_size"));
  join = bench.JoinOf(0);
  join.mutable_job()->set_tokens_per_step(99);
  EXPECT_THAT(bench.Join(join).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "tokens_per_step"));
}

}  // namespace
}  // namespace evenkeel::core
