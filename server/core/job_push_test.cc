// What becomes of a push. One test for each sentence of the contract.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"
#include "kernels/balance/update.h"
#include "server/core/job_bench.h"

namespace evenkeel::core {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Code = absl::StatusCode;
using Reason = v1::ErrorDetail;

// A bench whose contributors have all joined.
struct JoinedBench : JobBench {
  explicit JoinedBench(const v1::JobSpec& spec, std::vector<std::vector<int>> owned = {})
      : JobBench(spec, std::move(owned)) {
    JoinAll();
  }
};

// The same push with another payload that is right in itself.
v1::PushRequest Differing(v1::PushRequest push) {
  push.set_valid_tokens(1, push.valid_tokens(1) + 1);
  push.mutable_routed()->set_low(6, push.routed().low(6) + 1);
  return push;
}

TEST(JobPushTest, TheLastPushOfAStepCommitsIt) {
  JoinedBench bench(job::TestSpec(3));
  const CallId first = bench.Push(2, 1);
  EXPECT_EQ(bench.result(), PushResult::kAccepted);
  const CallId second = bench.Push(0, 1);
  EXPECT_TRUE(bench.IsWaiting(first) && bench.IsWaiting(second));
  EXPECT_EQ(bench.job().open_step(), 1u);
  const CallId third = bench.Push(1, 1);
  EXPECT_EQ(bench.result(), PushResult::kAccepted);

  EXPECT_EQ(bench.job().open_step(), 2u);
  EXPECT_TRUE(bench.IsAt(1));
  ASSERT_TRUE(bench.AnswerTo(first).ok());
  const v1::CommittedVersion& reply = **bench.AnswerTo(first);
  EXPECT_EQ(reply.version().epoch(), 1u);
  EXPECT_EQ(reply.version().step(), 1u);
  EXPECT_THAT(reply.participants(), ElementsAre(0, 1, 2));
  EXPECT_EQ(reply.durable_step(), 1u);
  EXPECT_EQ(bench.AnswerTo(second)->get(), &reply) << "made once, shared by all";
  EXPECT_EQ(bench.AnswerTo(third)->get(), &reply);
}

TEST(JobPushTest, TheWriteCarriesWhatTheAnswerSays) {
  JoinedBench bench(job::TestSpec(1));
  v1::PushRequest push = bench.PushOf(0, 1);
  Effects effects;
  bench.job().Push(absl::UnixEpoch(), 77, &push, &effects);
  ASSERT_THAT(effects.writes, SizeIs(1));
  ASSERT_THAT(effects.answers, SizeIs(1));
  const Write& write = effects.writes[0];
  const v1::CommittedVersion& reply = **effects.answers[0].reply;
  EXPECT_EQ(effects.answers[0].call, 77u);
  EXPECT_EQ(write.job, "job");
  EXPECT_EQ(write.epoch, 1u);
  EXPECT_EQ(write.state->version().step(), 1u);
  ASSERT_THAT(write.versions, SizeIs(1));
  EXPECT_EQ(write.versions[0].step, 1u);
  EXPECT_EQ(write.versions[0].epoch, 1u);
  EXPECT_TRUE(write.versions[0].ok);
  EXPECT_EQ(write.versions[0].state_hash, reply.state_hash());
}

TEST(JobPushTest, TheOrderOfArrivalDoesNotShow) {
  std::vector<int> order = {0, 1, 2};
  std::vector<std::string> states;
  do {
    // Rows of two streams; "a" and "c" are of other stages than "b".
    JoinedBench bench(job::TestSpecWithStreams(3), {{0, 1, 3}, {2}, {0, 1, 2, 3}});
    for (uint64_t step = 1; step <= 3; ++step) {
      for (const int contributor : order) bench.Push(contributor, step);
    }
    EXPECT_TRUE(bench.IsAt(3));
    states.push_back(bench.job().State().SerializeAsString());
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_THAT(states, SizeIs(6));
  EXPECT_THAT(states, Each(states.front()));
}

TEST(JobPushTest, TheCommitEventTellsTheTimeAndTheTokens) {
  JoinedBench bench(job::TestSpec(2));
  bench.Push(0, 1);
  bench.Wait(absl::Milliseconds(250));
  bench.Push(1, 1);
  ASSERT_THAT(bench.commits(), SizeIs(1));
  EXPECT_EQ(bench.commits()[0].job, "job");
  EXPECT_EQ(bench.commits()[0].step, 1u);
  EXPECT_EQ(bench.commits()[0].barrier_wait, absl::Milliseconds(250));
  const job::JobState expected = bench.model().Trajectory(1).back();
  EXPECT_EQ(bench.commits()[0].tokens, std::max(expected.layers[0].last_tokens, expected.layers[1].last_tokens));
}

// ---------------------------------------------------------------------------------------------------------------------
// Duplicates

TEST(JobPushTest, ADuplicateIsCountedOnceAndGetsTheSameReply) {
  JoinedBench bench(job::TestSpec(2));
  const CallId first = bench.Push(0, 1);
  const CallId again = bench.Push(0, 1);
  EXPECT_EQ(bench.result(), PushResult::kDuplicate);
  EXPECT_TRUE(bench.IsWaiting(again)) << "one contributor's two pushes are not the pushes of two";
  bench.Push(1, 1);
  EXPECT_TRUE(bench.IsAt(1));
  ASSERT_TRUE(bench.AnswerTo(first).ok() && bench.AnswerTo(again).ok());
  EXPECT_EQ(bench.AnswerTo(first)->get(), bench.AnswerTo(again)->get());
}

TEST(JobPushTest, ADuplicateAfterTheCommitGetsTheSameReply) {
  JoinedBench bench(job::TestSpec(2));
  const CallId first = bench.Push(0, 1);
  bench.Push(1, 1);
  const CallId again = bench.Push(0, 1);
  EXPECT_EQ(bench.result(), PushResult::kLate);
  EXPECT_TRUE(bench.IsAt(1));
  EXPECT_EQ(bench.AnswerTo(first)->get(), bench.AnswerTo(again)->get());
}

TEST(JobPushTest, ADifferingPayloadIsRefused) {
  JoinedBench bench(job::TestSpec(2));
  const auto differs = job::IsRefusal(Code::kInvalidArgument, Reason::PAYLOAD_DIFFERS,
                                      "contributor 0 pushed step 1 before, with other contents");
  const CallId first = bench.Push(0, 1);
  EXPECT_THAT(bench.AnswerTo(bench.Push(Differing(bench.PushOf(0, 1)))).status(), differs);
  EXPECT_EQ(bench.result(), PushResult::kRefused);
  v1::PushRequest turned = bench.PushOf(0, 1);
  turned.set_ok(false);
  EXPECT_THAT(bench.AnswerTo(bench.Push(turned)).status(), differs);
  turned = bench.PushOf(0, 1);
  turned.set_replayed(true);
  EXPECT_THAT(bench.AnswerTo(bench.Push(turned)).status(), differs);

  bench.Push(1, 1);
  EXPECT_TRUE(bench.AnswerTo(first).ok());
  EXPECT_TRUE(bench.IsAt(1));
  EXPECT_THAT(bench.AnswerTo(bench.Push(Differing(bench.PushOf(0, 1)))).status(), differs) << "after the commit too";
}

TEST(JobPushTest, ARefusedPushMayBeCorrected) {
  JoinedBench bench(job::TestSpec(2));
  v1::PushRequest wrong = bench.PushOf(0, 1);
  wrong.set_valid_tokens(1, wrong.valid_tokens(1) + 1);
  const absl::Status status = bench.AnswerTo(bench.Push(wrong)).status();
  EXPECT_THAT(status,
              job::IsRefusal(Code::kInvalidArgument, Reason::COUNTS_INCONSISTENT, "layer \"b\": counts add up to"));
  EXPECT_EQ(DetailOf(status).open_step(), 1u);
  EXPECT_EQ(DetailOf(status).epoch(), 1u);
  bench.PushAll();
  EXPECT_TRUE(bench.IsAt(1));
}

// A worker whose connections die without a word repeats its push in one after the other.
TEST(JobPushTest, OfTooManyRepetitionsTheNewestWait) {
  JoinedBench bench(job::TestSpec(2));
  std::vector<CallId> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(bench.Push(0, 1));
    EXPECT_EQ(bench.result(), i == 0 ? PushResult::kAccepted : PushResult::kDuplicate);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(bench.IsWaiting(calls[i]), i >= 2) << i;
  EXPECT_THAT(bench.AnswerTo(calls[0]).status(), job::IsRefusal(Code::kUnavailable, Reason::LIMIT_EXCEEDED,
                                                                "contributor 0 has made this push 8 times since"));
  bench.job().Cancel(calls[3]);
  const CallId last = bench.Push(0, 1);
  EXPECT_TRUE(bench.IsWaiting(calls[2]) && bench.IsWaiting(last));
  bench.Push(1, 1);
  for (const CallId call : {calls[2], calls[9], last}) EXPECT_TRUE(bench.AnswerTo(call).ok());
  EXPECT_TRUE(bench.IsAt(1));
}

// ---------------------------------------------------------------------------------------------------------------------
// Steps

TEST(JobPushTest, ALatePushIsAnsweredWithTheCommittedVersionAndNotSummed) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(3);
  for (const uint64_t step : {1, 2, 3}) {
    const CallId late = bench.Push(0, step);
    EXPECT_EQ(bench.result(), PushResult::kLate);
    ASSERT_TRUE(bench.AnswerTo(late).ok()) << bench.AnswerTo(late).status();
    EXPECT_EQ((*bench.AnswerTo(late))->version().step(), 3u);
  }
  bench.PushAllUntil(4);
  EXPECT_TRUE(bench.IsAt(4));
}

TEST(JobPushTest, ALatePushOfWhoJoinedAfterTheCommitIsRefused) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(3);
  ASSERT_TRUE(bench.Join(0, 7).ok());
  v1::PushRequest push = bench.PushOf(0, 3);
  push.set_incarnation(7);
  const absl::Status status = bench.AnswerTo(bench.Push(push)).status();
  EXPECT_THAT(status, job::IsRefusal(Code::kFailedPrecondition, Reason::LATE_STEP,
                                     "step 3 was committed before contributor 0 joined"));
  EXPECT_EQ(DetailOf(status).open_step(), 4u);
}

TEST(JobPushTest, StepZeroIsAlwaysLate) {
  JoinedBench bench(job::TestSpec(1));
  EXPECT_THAT(bench.AnswerTo(bench.Push(0, 0)).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::LATE_STEP, "step 0"));
}

TEST(JobPushTest, APushFromTheFutureIsToldTheOpenStep) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(3);
  for (const uint64_t step : {uint64_t{5}, ~uint64_t{0}}) {
    v1::PushRequest push = bench.PushOf(0, 4);
    push.set_step(step);
    const absl::Status status = bench.AnswerTo(bench.Push(push)).status();
    EXPECT_THAT(status, job::IsRefusal(Code::kFailedPrecondition, Reason::FUTURE_STEP,
                                       absl::StrCat("step ", step, " is not open; step 4 is")));
    EXPECT_EQ(DetailOf(status).open_step(), 4u);
  }
}

TEST(JobPushTest, OneWhoDidNotTakeTheStepSkipsItForAll) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(2);
  const v1::JobState before = bench.job().State();
  v1::PushRequest skip = bench.PushOf(0, 3);
  skip.set_ok(false);
  const CallId first = bench.Push(skip);
  const CallId second = bench.Push(1, 3);
  for (const CallId call : {first, second}) {
    ASSERT_TRUE(bench.AnswerTo(call).ok());
    EXPECT_FALSE((*bench.AnswerTo(call))->ok());
    EXPECT_THAT((*bench.AnswerTo(call))->reasons(), Each(v1::UpdateReason::SKIPPED));
  }
  const v1::JobState after = bench.job().State();
  EXPECT_EQ(after.version().step(), 3u);
  EXPECT_EQ(after.position(), 2u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(after.layers(i).bias(), testing::ElementsAreArray(before.layers(i).bias()));
  }
  EXPECT_FALSE(bench.disk().versions.back().ok);
  bench.PushAll();
  EXPECT_TRUE((bench.disk().versions.back().ok)) << "a skip is of one step";
}

TEST(JobPushTest, Pitfall24OneWhoReplaysTheStepKeepsItFromMovingForAll) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(2);
  const v1::JobState before = bench.job().State();
  v1::PushRequest replay = bench.PushOf(0, 3);
  replay.set_replayed(true);
  const CallId first = bench.Push(replay);
  const CallId second = bench.Push(1, 3);
  for (const CallId call : {first, second}) {
    ASSERT_TRUE(bench.AnswerTo(call).ok());
    EXPECT_TRUE((*bench.AnswerTo(call))->ok());
    EXPECT_THAT((*bench.AnswerTo(call))->reasons(), Each(v1::UpdateReason::REPLAYED));
  }
  const v1::JobState after = bench.job().State();
  EXPECT_EQ(after.position(), 3u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(after.layers(i).bias(), testing::ElementsAreArray(before.layers(i).bias()));
    EXPECT_GT(after.layers(i).last_tokens(), 0u) << "counted all the same";
  }
  bench.PushAll();
  EXPECT_EQ(bench.job().State().layers(0).last_reason(), v1::UpdateReason::MOVED) << "a replay is of one step";
}

// ---------------------------------------------------------------------------------------------------------------------
// Senders

TEST(JobPushTest, RefusesWhoHasNotJoined) {
  JobBench bench(job::TestSpec(2));
  const auto not_joined = job::IsRefusal(Code::kFailedPrecondition, Reason::NOT_JOINED, "contributor 0 has not joined");
  EXPECT_THAT(bench.AnswerTo(bench.Push(0, 1)).status(), not_joined);
  v1::PushRequest nobody = bench.PushOf(0, 1);
  nobody.set_incarnation(0);
  EXPECT_THAT(bench.AnswerTo(bench.Push(nobody)).status(), not_joined) << "a free slot is held by nobody";
  bench.JoinAll();
  v1::PushRequest stranger = bench.PushOf(0, 1);
  stranger.set_incarnation(7);
  EXPECT_THAT(bench.AnswerTo(bench.Push(stranger)).status(), not_joined);
}

TEST(JobPushTest, RefusesPlacesThatTheJobDoesNotHave) {
  JoinedBench bench(job::TestSpec(2));
  for (const int contributor : {-1, 2}) {
    v1::PushRequest push = bench.PushOf(0, 1);
    push.set_contributor(contributor);
    EXPECT_THAT(
        bench.AnswerTo(bench.Push(push)).status(),
        job::IsRefusal(Code::kInvalidArgument, Reason::INVALID_FIELD, absl::StrCat("contributor is ", contributor)));
  }
}

TEST(JobPushTest, KnowsAStaleCoordinatorWhenItIsOne) {
  JoinedBench bench(job::TestSpec(1));
  v1::PushRequest push = bench.PushOf(0, 1);
  push.set_epoch(2);
  EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::EPOCH_AHEAD, "the caller joined in epoch 2"));
  push.set_epoch(0);
  EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
              job::IsRefusal(Code::kFailedPrecondition, Reason::STALE_EPOCH, "the caller joined in epoch 0"));
}

// ---------------------------------------------------------------------------------------------------------------------
// routed_with

// What contributor 0 is told of a push of the open step that names that version; OK while it waits.
absl::Status RoutedWith(JobBench& bench, uint64_t epoch, uint64_t step) {
  v1::PushRequest push = bench.PushOf(0, bench.job().open_step());
  push.mutable_routed_with()->set_epoch(epoch);
  push.mutable_routed_with()->set_step(step);
  const CallId call = bench.Push(push);
  return bench.IsWaiting(call) ? absl::OkStatus() : bench.AnswerTo(call).status();
}

TEST(JobPushTest, AStepIsRoutedWithTheVersionThatIsDueOrAnOlderOne) {
  for (uint64_t step = 0; step <= 3; ++step) {
    JoinedBench bench(job::TestSpec(2));
    bench.PushAllUntil(3);
    const auto unknown = [](const std::string& sentence) {
      return job::IsRefusal(Code::kFailedPrecondition, Reason::UNKNOWN_VERSION, sentence);
    };
    EXPECT_THAT(RoutedWith(bench, 1, 4), unknown("routed_with is {epoch 1, step 4}; step 4 is to be routed with "
                                                 "{epoch 1, step 3}, or with an older version"));
    EXPECT_THAT(RoutedWith(bench, 2, step), unknown(absl::StrCat("routed_with is {epoch 2, step ", step, "}")));
    EXPECT_THAT(RoutedWith(bench, 0, step), unknown(absl::StrCat("routed_with is {epoch 0, step ", step, "}")));
    EXPECT_TRUE(RoutedWith(bench, 1, step).ok());
    const CallId call = bench.Push(1, 4);
    EXPECT_TRUE(bench.IsAt(4));
    EXPECT_EQ((*bench.AnswerTo(call))->staleness(), 3 - step);
  }
}

TEST(JobPushTest, TheFirstStepIsRoutedWithTheInitialBias) {
  JoinedBench bench(job::TestSpec(2));
  EXPECT_EQ(ReasonOf(RoutedWith(bench, 1, 1)), Reason::UNKNOWN_VERSION);
  EXPECT_TRUE(RoutedWith(bench, 1, 0).ok());
}

TEST(JobPushTest, WithLagTheVersionBeforeIsDue) {
  v1::JobSpec spec = job::TestSpec(2);
  spec.set_lag(1);
  JoinedBench bench(spec);
  const uint64_t due[] = {0, 0, 1, 2};
  for (uint64_t step = 1; step <= 4; ++step) {
    EXPECT_EQ(ReasonOf(RoutedWith(bench, 1, due[step - 1] + 1)), Reason::UNKNOWN_VERSION);
    EXPECT_TRUE(RoutedWith(bench, 1, due[step - 1]).ok());
    const CallId call = bench.Push(1, step);
    ASSERT_TRUE(bench.AnswerTo(call).ok());
    EXPECT_EQ((*bench.AnswerTo(call))->valid_from(), step + 2);
    EXPECT_EQ((*bench.AnswerTo(call))->staleness(), 0u);
    EXPECT_TRUE(bench.IsAt(step));
  }
}

TEST(JobPushTest, RemembersAsManyVersionsAsCanBeDue) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = job::TestSpec(1);
    spec.set_lag(lag);
    JoinedBench bench(spec);
    bench.PushAllUntil(kKeptVersions + 10);
    EXPECT_THAT(bench.disk().versions, SizeIs(kKeptVersions));
    bench.Restart();
    bench.JoinAll();
    bench.PushAllUntil(kKeptVersions + 20);
    EXPECT_TRUE(bench.IsAt(kKeptVersions + 20));
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Stale steps: moves are judged by job::ReferenceModel, and by themselves in move_test.cc

// `contributor` pushes the open step, routed with version `routed_with`.
CallId PushStale(JobBench& bench, int contributor, uint64_t routed_with,
                 const std::function<void(v1::PushRequest*)>& change = nullptr) {
  v1::PushRequest push = bench.PushOf(contributor, bench.job().open_step());
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(routed_with);
  if (change != nullptr) change(&push);
  return bench.Push(push);
}

TEST(JobPushTest, StepsRoutedWithOneStaleVersionMoveTheBiasOnce) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = job::TestSpec(2);
    spec.set_lag(lag);
    spec.mutable_balance()->set_preset("loss_free");
    JoinedBench bench(spec);
    bench.PushAllUntil(5);
    for (uint64_t step = 6; step <= 20; ++step) {
      PushStale(bench, 0, 4 - lag);
      const CallId call = PushStale(bench, 1, 4 - lag);
      ASSERT_TRUE(bench.IsAt(step)) << "lag " << lag << ", step " << step;
      EXPECT_EQ((*bench.AnswerTo(call))->staleness(), step - 5);
    }
    // Step 5 was routed with that version, too, and it was the one due.
    const v1::JobState state = bench.job().State();
    EXPECT_EQ(state.move().base_step(), 4u);
    EXPECT_EQ(state.position(), 20u);
    const std::vector<job::JobState> on_time = bench.model().Trajectory(4);
    for (int expert = 0; expert < 4; ++expert) {
      EXPECT_LE(std::abs(state.layers(0).bias(expert) - on_time[4].layers[0].balance.bias[expert]), 1.001e-3f);
    }
    bench.PushAllUntil(23);
    EXPECT_TRUE(bench.IsAt(23)) << "whoever is back moves it step by step";
  }
}

TEST(JobPushTest, TheOldestVersionOfAStepDecides) {
  JoinedBench bench(job::TestSpec(3));
  bench.PushAllUntil(4);
  for (uint64_t step = 5; step <= 9; ++step) {
    PushStale(bench, 0, 3);
    PushStale(bench, 1, 4);  // contributor 1 has heard of one version more, contributor 2 of all
    bench.Push(2, step);
    ASSERT_TRUE(bench.IsAt(step));
    EXPECT_EQ(bench.job().State().move().routed_with().step(), 3u);
    EXPECT_EQ(bench.job().State().move().base_step(), 3u);
  }
  PushStale(bench, 0, 9);
  PushStale(bench, 1, 4);
  bench.Push(2, 10);
  EXPECT_TRUE(bench.IsAt(10));
  EXPECT_EQ(bench.job().State().move().base_step(), 9u) << "another version, another move";
}

TEST(JobPushTest, AnOutageMayLastLongerThanVersionsAreKept) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(6);
  for (uint64_t step = 7; step <= kKeptVersions + 30; ++step) {
    PushStale(bench, 0, 5);
    const CallId call = PushStale(bench, 1, 6);  // routed no move, and is remembered as well
    ASSERT_TRUE(bench.AnswerTo(call).ok()) << bench.AnswerTo(call).status();
    if (step % 20 == 0) {
      bench.Restart();
      bench.JoinAll();
    }
  }
  EXPECT_TRUE(bench.IsAt(kKeptVersions + 30));
  EXPECT_THAT(bench.disk().versions, SizeIs(kKeptVersions));
  EXPECT_EQ(ReasonOf(RoutedWith(bench, 1, 7)), Reason::UNKNOWN_VERSION) << "which nobody has named";
}

TEST(JobPushTest, NoVersionIsNoneThatIsKnown) {
  JoinedBench bench(job::TestSpec(1));
  for (uint64_t step = 1; step <= kKeptVersions + 1; ++step) {
    v1::PushRequest push = bench.PushOf(0, step);
    push.set_ok(false);
    bench.Push(push);
  }
  ASSERT_EQ(bench.job().committed_step(), kKeptVersions + 1u) << "and none of the steps moved anything";
  EXPECT_EQ(ReasonOf(RoutedWith(bench, 0, 0)), Reason::UNKNOWN_VERSION);
}

TEST(JobPushTest, ASkippedStepLeavesTheMoveAsItIs) {
  JoinedBench bench(job::TestSpec(1));
  bench.PushAllUntil(3);
  PushStale(bench, 0, 2);
  const v1::JobState before = bench.job().State();
  PushStale(bench, 0, 2, [](v1::PushRequest* push) { push->set_ok(false); });
  const v1::JobState skipped = bench.job().State();
  EXPECT_EQ(skipped.move().base_step(), 2u);
  EXPECT_THAT(skipped.layers(0).bias(), testing::ElementsAreArray(before.layers(0).bias()));
  EXPECT_EQ(skipped.last_commit().staleness(), 2u);

  // The same, but for the skipped step.
  JoinedBench other(job::TestSpec(1));
  other.PushAllUntil(3);
  for (JobBench* each : {static_cast<JobBench*>(&bench), static_cast<JobBench*>(&other)}) {
    if (each == &other) PushStale(other, 0, 2);
    v1::PushRequest push = each->model().Payload(0, 7);
    PushStale(*each, 0, 2, [&](v1::PushRequest* p) {
      *p->mutable_routed() = push.routed();
      *p->mutable_valid_tokens() = push.valid_tokens();
      *p->mutable_short_slots() = push.short_slots();
    });
  }
  EXPECT_EQ(bench.job().State().version().step(), 6u);
  EXPECT_EQ(other.job().State().version().step(), 5u);
  EXPECT_THAT(bench.job().State().layers(0).bias(), testing::ElementsAreArray(other.job().State().layers(0).bias()));
  EXPECT_THAT(bench.job().State().layers(0).ema(), testing::ElementsAreArray(other.job().State().layers(0).ema()));
}

TEST(JobPushTest, ProvisionalStepsMoveTheBiasEachOnItsOwn) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(3);
  const auto provisional = [](v1::PushRequest* push) { push->set_provisional(true); };
  for (uint64_t step = 4; step <= 9; ++step) {
    PushStale(bench, 0, 2, provisional);
    const CallId call = PushStale(bench, 1, 2, provisional);
    ASSERT_TRUE(bench.IsAt(step));
    EXPECT_EQ((*bench.AnswerTo(call))->staleness(), step - 3);
    EXPECT_EQ(bench.job().State().move().base_step(), step - 1);
  }
  // As if they had been on time.
  const job::JobState on_time = bench.model().Trajectory(9).back();
  EXPECT_THAT(bench.job().State().layers(0).bias(), testing::ElementsAreArray(on_time.layers[0].balance.bias));
}

// ---------------------------------------------------------------------------------------------------------------------
// Lost counts

v1::PushRequest Lost(v1::PushRequest push) {
  push.set_counts_lost(true);
  push.clear_valid_tokens();
  push.clear_short_slots();
  push.clear_routed();
  return push;
}

TEST(JobPushTest, WhoHasLostItsCountsTakesNoPart) {
  JoinedBench bench(job::TestSpec(3));
  bench.PushAllUntil(1);
  const CallId lost = bench.Push(Lost(bench.PushOf(1, 2)));
  EXPECT_EQ(bench.result(), PushResult::kAccepted);
  EXPECT_EQ(bench.AnswerTo(bench.Push(1, 2)).status().code(), Code::kInvalidArgument) << "and not found again";
  bench.Push(0, 2);
  bench.Push(2, 2);
  ASSERT_TRUE(bench.AnswerTo(lost).ok()) << "it is answered as all are";
  EXPECT_THAT((*bench.AnswerTo(lost))->participants(), ElementsAre(0, 2));
  EXPECT_TRUE(bench.IsAt(2));
  ASSERT_THAT(bench.commits(), SizeIs(2));
  EXPECT_THAT(bench.commits()[1].lost, ElementsAre(1));
  EXPECT_THAT(bench.commits()[0].lost, IsEmpty());
  bench.PushAllUntil(3);
  EXPECT_TRUE(bench.IsAt(3));
}

TEST(JobPushTest, AStepOfWhichNothingIsLeftIsCommittedWithoutTokens) {
  JoinedBench bench(job::TestSpec(2));
  bench.PushAllUntil(2);
  const v1::JobState before = bench.job().State();
  const auto lose = [](v1::PushRequest* push) { *push = Lost(*push); };
  PushStale(bench, 0, 0, lose);
  const CallId call = PushStale(bench, 1, 0, lose);
  const v1::CommittedVersion& reply = **bench.AnswerTo(call);
  EXPECT_TRUE(reply.ok());
  EXPECT_EQ(reply.tokens(), 0u);
  EXPECT_EQ(reply.staleness(), 0u) << "nothing was routed";
  EXPECT_THAT(reply.participants(), IsEmpty());
  EXPECT_THAT(reply.reasons(), Each(v1::UpdateReason::NO_TOKENS));
  EXPECT_THAT(bench.job().State().layers(0).bias(), testing::ElementsAreArray(before.layers(0).bias()));
  EXPECT_TRUE(bench.IsAt(3));
}

TEST(JobPushTest, LostCountsThatAreThereAreRefused) {
  JoinedBench bench(job::TestSpec(1));
  const std::function<void(v1::PushRequest*)> additions[] = {
      [](v1::PushRequest* push) { push->add_valid_tokens(0); },
      [](v1::PushRequest* push) { push->add_short_slots(0); },
      [](v1::PushRequest* push) { push->mutable_routed()->add_low(0); },
      [](v1::PushRequest* push) { push->mutable_routed()->add_high(0); },
  };
  for (const auto& add : additions) {
    v1::PushRequest push = Lost(bench.PushOf(0, 1));
    add(&push);
    EXPECT_THAT(bench.AnswerTo(bench.Push(push)).status(),
                job::IsRefusal(Code::kInvalidArgument, Reason::SHAPE_MISMATCH, "with counts_lost there is nothing"));
  }
  v1::PushRequest unknown = Lost(bench.PushOf(0, 1));
  unknown.mutable_routed_with()->set_step(7);
  EXPECT_EQ(ReasonOf(bench.AnswerTo(bench.Push(unknown)).status()), Reason::UNKNOWN_VERSION);
}

TEST(JobPushTest, LostCountsCanBeTakenBack) {
  JoinedBench bench(job::TestSpec(2));
  bench.Push(Lost(bench.PushOf(0, 1)));
  ASSERT_TRUE(bench.Join(0, 7).ok());
  v1::PushRequest again = bench.PushOf(0, 1);
  again.set_incarnation(7);
  bench.Push(again);
  bench.Push(1, 1);
  EXPECT_TRUE(bench.IsAt(1));
}

// ---------------------------------------------------------------------------------------------------------------------
// Room

TEST(JobPushTest, WhatIsKeptMayNotOutgrowAnUpdate) {
  v1::JobSpec spec = job::TestSpec(2);
  spec.mutable_balance()->set_min_tokens(~uint64_t{0});
  JoinedBench bench(spec);
  // `tokens` at layer "a", which takes two slots for each, and one token at "b".
  const auto push = [&](int contributor, uint64_t tokens) {
    v1::PushRequest push = bench.PushOf(contributor, bench.job().open_step());
    push.clear_short_slots();
    push.set_valid_tokens(0, tokens);
    push.set_valid_tokens(1, 1);
    *push.mutable_routed() = job::PackCounts({tokens, tokens, 0, 0, /**/ 1, 0, 0});
    return bench.Push(push);
  };
  const uint64_t room = balance::kMaxCountSum / 2;
  push(0, room / 2);
  push(1, room / 4);
  ASSERT_EQ(bench.job().committed_step(), 1u);
  push(0, room / 8);
  EXPECT_THAT(
      bench.AnswerTo(push(1, room / 8 + 1)).status(),
      job::IsRefusal(Code::kInvalidArgument, Reason::COUNTS_INCONSISTENT,
                     absl::StrCat("layer \"a\": ", room / 8 + 1, " more valid_tokens make more than an update")));
  push(1, room / 8);
  EXPECT_EQ(bench.job().committed_step(), 2u);
  EXPECT_EQ(bench.job().State().layers(0).pending_tokens(), room);
}

TEST(JobPushTest, AMoveMayNotOutgrowAnUpdate) {
  // Contributor 0 owns layer "a", contributor 1 layer "b".
  JoinedBench bench(job::TestSpec(2), {{0}, {1}});
  bench.PushAllUntil(2);
  const uint64_t half = balance::kMaxCountSum / 4 + 1;  // of what layer "a", at two slots a token, can hold
  const auto fill = [&](v1::PushRequest* push) {
    push->clear_short_slots();
    push->set_valid_tokens(0, half);
    *push->mutable_routed() = job::PackCounts({half, half, 0, 0});
  };
  PushStale(bench, 0, 1, fill);
  PushStale(bench, 1, 2);
  ASSERT_EQ(bench.job().committed_step(), 3u);
  const auto full = job::IsRefusal(Code::kInvalidArgument, Reason::COUNTS_INCONSISTENT, "layer \"a\": ");
  EXPECT_THAT(bench.AnswerTo(PushStale(bench, 0, 1, fill)).status(), full);
  const CallId waits = PushStale(bench, 0, 3, fill);
  EXPECT_TRUE(bench.IsWaiting(waits)) << "as a move of its own it has room";
  EXPECT_THAT(bench.AnswerTo(PushStale(bench, 1, 1)).status(), full) << "which would make it join";
  PushStale(bench, 1, 3);
  ASSERT_EQ(bench.job().committed_step(), 4u);
  EXPECT_TRUE(bench.IsWaiting(PushStale(bench, 1, 3)));
  EXPECT_THAT(bench.AnswerTo(PushStale(bench, 0, 4, fill)).status(), full) << "the other makes it join";
  PushStale(bench, 0, 4);
  EXPECT_EQ(bench.job().State().move().base_step(), 3u);
}

// ---------------------------------------------------------------------------------------------------------------------
// Callers that go

TEST(JobPushTest, TheCountsOfACancelledCallStay) {
  JoinedBench bench(job::TestSpec(2));
  const CallId gone = bench.Push(0, 1);
  bench.job().Cancel(gone);
  bench.job().Cancel(12345);
  const CallId other = bench.Push(1, 1);
  EXPECT_TRUE(bench.IsWaiting(gone)) << "never answered";
  EXPECT_TRUE(bench.AnswerTo(other).ok());
  EXPECT_TRUE(bench.IsAt(1));
  const CallId again = bench.Push(0, 1);
  EXPECT_EQ(bench.AnswerTo(again)->get(), bench.AnswerTo(other)->get());
}

TEST(JobPushTest, AllParkedCallsCanBeAnsweredAtOnce) {
  JoinedBench bench(job::TestSpec(3));
  const CallId calls[] = {bench.Push(0, 1), bench.Push(0, 1), bench.Push(2, 1)};
  Effects effects;
  bench.job().AnswerAll(absl::UnavailableError("stopping"), &effects);
  EXPECT_THAT(effects.writes, IsEmpty());
  bench.Carry(std::move(effects));
  for (const CallId call : calls) EXPECT_EQ(bench.AnswerTo(call).status().code(), Code::kUnavailable);
  bench.Push(1, 1);
  EXPECT_TRUE(bench.IsAt(1)) << "the counts stay, and nobody is answered twice";
}

}  // namespace
}  // namespace evenkeel::core
