// Who takes part in a job: Join and Leave. One test for each sentence of the contract.

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
using ::testing::IsEmpty;

using Code = absl::StatusCode;
using Reason = v1::ErrorDetail;

auto Replaced(int contributor) {
  return job::IsRefusal(Code::kAlreadyExists, Reason::REPLACED,
                        "a newer incarnation holds contributor " + std::to_string(contributor));
}

auto Invalid(const std::string& sentence) {
  return job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, sentence);
}

TEST(JobJoinTest, TellsWhereTheJobIs) {
  JobBench bench(job::TestSpec(2));
  const auto response = bench.Join(bench.JoinOf(0));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->epoch(), 1u);
  EXPECT_EQ(response->open_step(), 1u);
  EXPECT_EQ(response->effective().SerializeAsString(), bench.plan().effective.SerializeAsString());
  EXPECT_EQ(response->version().version().epoch(), 1u);
  EXPECT_EQ(response->version().version().step(), 0u);
  EXPECT_EQ(response->version().valid_from(), 1u);
  EXPECT_EQ(response->version().bias_size(), 7);
}

// With lag 1 the open step is routed with the version before the newest, and the step after it with the newest.
TEST(JobJoinTest, WithLagItTellsTheTwoVersionsThatRouteFromHereOn) {
  v1::JobSpec spec = job::TestSpec(2);
  spec.set_lag(1);
  JobBench bench(spec);
  const auto at_first = bench.Join(bench.JoinOf(0));
  ASSERT_TRUE(at_first.ok()) << at_first.status();
  EXPECT_FALSE(at_first->has_previous()) << "the initial bias routes steps 1 and 2";
  bench.JoinAll();
  std::string newest = at_first->version().SerializeAsString();
  for (uint64_t step = 1; step <= 4; ++step) {
    bench.PushAll();
    if (step % 2 == 0) bench.Restart();
    const auto response = bench.Join(bench.JoinOf(0));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->open_step(), step + 1);
    EXPECT_EQ(response->previous().SerializeAsString(), newest) << "byte for byte as it was answered";
    EXPECT_LE(response->previous().valid_from(), step + 1);
    EXPECT_EQ(response->version().version().step(), step);
    EXPECT_EQ(response->version().valid_from(), step + 2);
    newest = response->version().SerializeAsString();
    bench.JoinAll();
  }
}

TEST(JobJoinTest, WithoutLagTheNewestVersionIsEnough) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  EXPECT_FALSE(bench.Join(bench.JoinOf(0))->has_previous());
}

TEST(JobJoinTest, IsIdempotentForOneIncarnation) {
  JobBench bench(job::TestSpec(2));
  const auto first = bench.Join(bench.JoinOf(0));
  const std::string member = bench.disk().members[0].SerializeAsString();
  const auto second = bench.Join(bench.JoinOf(0));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
  EXPECT_EQ(bench.disk().members[0].SerializeAsString(), member);
}

TEST(JobJoinTest, KeepsThePushOfTheOpenStepOnRepetition) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  const CallId call = bench.Push(0, 1);
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  EXPECT_TRUE(bench.IsWaiting(call));
  bench.Push(1, 1);
  EXPECT_TRUE(bench.AnswerTo(call).ok());
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobJoinTest, IsRememberedBeforeItIsAnswered) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest request = bench.JoinOf(1);
  request.add_ranks(4);
  request.add_ranks(5);
  ASSERT_TRUE(bench.Join(request).ok());
  ASSERT_EQ(bench.disk().members.size(), 1u);
  const v1::Member& member = bench.disk().members[0];
  EXPECT_EQ(member.contributor(), 1);
  EXPECT_EQ(member.incarnation(), JobBench::Usual(1));
  EXPECT_EQ(member.joined_after(), 0u);
  EXPECT_THAT(member.ranks(), ElementsAre(4, 5));
}

TEST(JobJoinTest, RefusesPlacesThatTheJobDoesNotHave) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_contributor(2);
  EXPECT_THAT(bench.Join(request).status(), Invalid("contributor is 2; 0 to 1 are allowed"));
  request.set_contributor(-1);
  EXPECT_THAT(bench.Join(request).status(), Invalid("contributor is -1"));
}

TEST(JobJoinTest, ErrorsSayWhereTheJobIs) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  bench.Restart();
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_next_step(9);
  v1::ErrorDetail detail = DetailOf(bench.Join(request).status());
  EXPECT_EQ(detail.open_step(), 4u);
  EXPECT_EQ(detail.epoch(), 2u);
  request = bench.JoinOf(0);
  request.add_owned_layers("c");
  detail = DetailOf(bench.Join(request).status());
  EXPECT_EQ(detail.reason(), Reason::INVALID_FIELD);
  EXPECT_EQ(detail.open_step(), 4u);
  EXPECT_EQ(detail.epoch(), 2u);
}

// ---------------------------------------------------------------------------------------------------------------------
// The spec

TEST(JobJoinTest, NamesTheFieldInWhichSpecsDiffer) {
  JobBench bench(job::TestSpec(2));
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  v1::JoinRequest request = bench.JoinOf(1);
  request.mutable_job()->mutable_layers(1)->set_num_experts(5);
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "layers[1].num_experts: 3 -> 5"));
  request = bench.JoinOf(1);
  request.mutable_job()->set_contributors(3);
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "contributors: 2 -> 3"));
  request = bench.JoinOf(1);
  request.mutable_job()->mutable_balance()->set_preset("loss_free");
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::SPEC_MISMATCH, "balance.rule: PROPORTIONAL -> SIGN"));
}

TEST(JobJoinTest, AcceptsTheSameSpecInOtherWords) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest request = bench.JoinOf(1);
  request.mutable_job()->mutable_layers()->SwapElements(0, 1);
  request.mutable_job()->mutable_balance()->set_preset("evenkeel");
  request.mutable_job()->set_mode(v1::JobSpec::Mode::BALANCE);
  EXPECT_TRUE(bench.Join(request).ok());
}

// ---------------------------------------------------------------------------------------------------------------------
// Incarnations

TEST(JobJoinTest, ANewIncarnationReplacesTheOldOne) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(2);
  ASSERT_TRUE(bench.Join(0, 7).ok());
  const v1::Member& member = bench.disk().members[0];
  EXPECT_EQ(member.incarnation(), 7u);
  EXPECT_EQ(member.joined_after(), 2u);
  EXPECT_THAT(member.replaced(), ElementsAre(JobBench::Usual(0)));
}

TEST(JobJoinTest, TheReplacedOneMayNeitherPushNorJoin) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  ASSERT_TRUE(bench.Join(0, 7).ok());
  EXPECT_THAT(bench.AnswerTo(bench.Push(0, 1)).status(), Replaced(0));
  EXPECT_EQ(bench.result(), PushResult::kRefused);
  EXPECT_THAT(bench.Join(bench.JoinOf(0)).status(), Replaced(0));
  EXPECT_THAT(bench.Leave(0, JobBench::Usual(0)),
              job::IsRefusal(Code::kAlreadyExists, Reason::REPLACED, "another incarnation holds contributor 0"));
  EXPECT_EQ(bench.disk().members[0].incarnation(), 7u);
}

TEST(JobJoinTest, ThePushOfTheReplacedOneIsTakenBack) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  v1::PushRequest other = bench.PushOf(0, 1);
  other.mutable_valid_tokens()->Set(0, other.valid_tokens(0) + 1);
  other.mutable_routed()->mutable_low()->Set(3, other.routed().low(3) + 2);
  const CallId replaced = bench.Push(other);
  ASSERT_TRUE(bench.IsWaiting(replaced));
  ASSERT_TRUE(bench.Join(0, 7).ok());
  EXPECT_THAT(bench.AnswerTo(replaced).status(), Replaced(0));

  const CallId waiting = bench.Push(1, 1);
  EXPECT_TRUE(bench.IsWaiting(waiting)) << "the step lacks contributor 0 again";
  v1::PushRequest again = bench.PushOf(0, 1);
  again.set_incarnation(7);
  bench.Push(again);
  EXPECT_TRUE(bench.AnswerTo(waiting).ok());
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobJoinTest, ReplacementReachesTheOpenStepOnly) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(1);
  ASSERT_TRUE(bench.Join(0, 7).ok());
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobJoinTest, RemembersTheLastSixteenThatWereReplaced) {
  JobBench bench(job::TestSpec(2));
  for (uint64_t incarnation = 1; incarnation <= 20; ++incarnation) ASSERT_TRUE(bench.Join(0, incarnation).ok());
  EXPECT_EQ(bench.disk().members[0].replaced_size(), 16);
  for (uint64_t incarnation = 4; incarnation < 20; ++incarnation) {
    EXPECT_THAT(bench.Join(0, incarnation).status(), Replaced(0)) << incarnation;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The step

TEST(JobJoinTest, RefusesAStepBeyondTheOpenOne) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(2);
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_next_step(4);
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::STEP_AHEAD, "next_step is 4, but step 3 is open"));
}

TEST(JobJoinTest, RefusesASecondStartOfAJobThatHasGoneOn) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(5);
  for (const uint64_t next_step : {1, 5}) {
    v1::JoinRequest request = bench.JoinOf(0);
    request.set_incarnation(7);
    request.set_next_step(next_step);
    EXPECT_THAT(bench.Join(request).status(),
                job::IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND,
                               "step 5 is committed; resume at step 6, ask to rewind or to catch up, or use another"));
  }
  EXPECT_EQ(bench.disk().members[0].incarnation(), JobBench::Usual(0)) << "the old one keeps its slot";
  EXPECT_TRUE(bench.Join(0, 7).ok()) << "at the open step it is welcome";
}

TEST(JobJoinTest, WhoWasThereMayComeBackForAnAnswerItHasNotHeard) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_next_step(3);
  const auto response = bench.Join(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->open_step(), 4u);
  EXPECT_EQ(response->version().version().step(), 3u);
}

TEST(JobJoinTest, ButNotForStepsBeforeItJoined) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  ASSERT_TRUE(bench.Join(0, 7).ok());
  v1::JoinRequest request = bench.JoinOf(0);
  request.set_incarnation(7);
  request.set_next_step(3);
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::STEP_BEHIND, "next_step is 3"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Ranks

TEST(JobJoinTest, NoRankIsCountedTwice) {
  JobBench bench(job::TestSpec(3));
  v1::JoinRequest leader = bench.JoinOf(0);
  leader.add_ranks(0);
  leader.add_ranks(2);
  ASSERT_TRUE(bench.Join(leader).ok());
  EXPECT_TRUE(bench.Join(bench.JoinOf(1)).ok());
  EXPECT_THAT(bench.Join(bench.JoinOf(2)).status(), Invalid("ranks: contributor 0 stands for rank 2 already"));
  v1::JoinRequest other = bench.JoinOf(2);
  other.add_ranks(7);
  other.add_ranks(1);
  EXPECT_THAT(bench.Join(other).status(), Invalid("ranks: contributor 1 stands for rank 1 already"));
  other.set_ranks(1, 8);
  EXPECT_TRUE(bench.Join(other).ok());
}

TEST(JobJoinTest, RanksAreDistinctAndNotNegative) {
  JobBench bench(job::TestSpec(1));
  v1::JoinRequest request = bench.JoinOf(0);
  request.add_ranks(3);
  request.add_ranks(3);
  EXPECT_THAT(bench.Join(request).status(), Invalid("ranks: 3 is negative or given twice"));
  request.set_ranks(1, -2);
  EXPECT_THAT(bench.Join(request).status(), Invalid("ranks: -2 is negative or given twice"));
}

TEST(JobJoinTest, ASuccessorTakesOverTheRanks) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  EXPECT_TRUE(bench.Join(0, 7).ok());
}

TEST(JobJoinTest, LeavingFreesTheRanks) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  ASSERT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  v1::JoinRequest request = bench.JoinOf(1);
  request.add_ranks(0);
  request.add_ranks(1);
  EXPECT_TRUE(bench.Join(request).ok());
}

// ---------------------------------------------------------------------------------------------------------------------
// Layers

TEST(JobJoinTest, RefusesLayersThatTheJobDoesNotHave) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest request = bench.JoinOf(0);
  request.add_owned_layers("c");
  EXPECT_THAT(bench.Join(request).status(), Invalid("owned_layers: \"c\" is not a layer of the job"));
  request = bench.JoinOf(0);
  request.add_owned_layers("a");
  EXPECT_THAT(bench.Join(request).status(), Invalid("owned_layers: \"a\" is given twice"));
}

TEST(JobJoinTest, EveryLayerNeedsSomeoneWhoCountsIt) {
  JobBench bench(job::TestSpec(2), {{0}, {1}});
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  v1::JoinRequest request = bench.JoinOf(1);
  request.set_owned_layers(0, "a");
  EXPECT_THAT(bench.Join(request).status(), job::IsRefusal(Code::kFailedPrecondition, Reason::UNCOVERED_LAYER,
                                                           "all 2 contributors are here, and none owns layer \"b\""));
  EXPECT_TRUE(bench.Join(bench.JoinOf(1)).ok());
}

TEST(JobJoinTest, ASuccessorMayNotLeaveALayerUncovered) {
  JobBench bench(job::TestSpec(2), {{0}, {1}});
  bench.JoinAll();
  v1::JoinRequest request = bench.JoinOf(1);
  request.set_incarnation(7);
  request.set_owned_layers(0, "a");
  EXPECT_THAT(bench.Join(request).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::UNCOVERED_LAYER, "none owns layer \"b\""));
  EXPECT_EQ(bench.disk().members[1].incarnation(), JobBench::Usual(1));
}

TEST(JobJoinTest, LayersMayChangeUntilTheyAreCounted) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  v1::JoinRequest request = bench.JoinOf(0);
  request.clear_owned_layers();
  request.add_owned_layers("b");
  ASSERT_TRUE(bench.Join(request).ok());
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  const CallId call = bench.Push(0, 1);
  EXPECT_THAT(bench.Join(request).status(),
              Invalid("owned_layers: contributor 0 has pushed the open step with other layers"));
  EXPECT_TRUE(bench.IsWaiting(call));
}

TEST(JobJoinTest, TheBarrierOfALayerIsOverThoseWhoDeclaredIt) {
  JobBench bench(job::TestSpec(3), {{0}, {1}, {0, 1}});
  bench.JoinAll();
  bench.PushAllUntil(4);
  EXPECT_TRUE(bench.IsAt(4));
}

// ---------------------------------------------------------------------------------------------------------------------
// Leave

TEST(JobLeaveTest, GivesTheSlotBack) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  ASSERT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  EXPECT_EQ(bench.disk().members[0].incarnation(), 0u);
  EXPECT_THAT(bench.disk().members[0].replaced(), IsEmpty());
  EXPECT_THAT(bench.AnswerTo(bench.Push(0, 1)).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::NOT_JOINED, "contributor 0 has not joined"));
  v1::PushRequest nobody = bench.PushOf(0, 1);
  nobody.set_incarnation(0);
  EXPECT_EQ(ReasonOf(bench.AnswerTo(bench.Push(nobody)).status()), Reason::NOT_JOINED) << "nor has nobody";
  EXPECT_TRUE(bench.Join(0, 7).ok());
}

TEST(JobLeaveTest, IsIdempotent) {
  JobBench bench(job::TestSpec(2));
  EXPECT_TRUE(bench.Leave(0, 5).ok()) << "nobody was there";
  bench.JoinAll();
  EXPECT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  EXPECT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
}

TEST(JobLeaveTest, TakesThePushOfTheOpenStepBack) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  const CallId left = bench.Push(0, 1);
  ASSERT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  EXPECT_THAT(bench.AnswerTo(left).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::NOT_JOINED, "contributor 0 has left"));
  const CallId waiting = bench.Push(1, 1);
  EXPECT_TRUE(bench.IsWaiting(waiting));
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  bench.Push(0, 1);
  EXPECT_TRUE(bench.AnswerTo(waiting).ok());
  EXPECT_TRUE(bench.IsAt(1));
}

TEST(JobLeaveTest, WhoComesBackIsANewcomer) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(2);
  ASSERT_TRUE(bench.Leave(0, JobBench::Usual(0)).ok());
  ASSERT_TRUE(bench.Join(bench.JoinOf(0)).ok());
  EXPECT_EQ(bench.disk().members[0].joined_after(), 2u);
}

TEST(JobLeaveTest, OnlyTheHolderMayLeave) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  EXPECT_THAT(bench.Leave(0, 5),
              job::IsRefusal(Code::kAlreadyExists, Reason::REPLACED, "another incarnation holds contributor 0"));
  EXPECT_THAT(bench.Leave(2, 5), Invalid("contributor is 2; 0 to 1 are allowed"));
  EXPECT_THAT(bench.Leave(-1, 5), Invalid("contributor is -1"));
}

}  // namespace
}  // namespace evenkeel::core
