#include "client/source/coordinator_source.h"

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error_detail.h"
#include "client/link/scripted_coordinator.h"
#include "client/source/local_source.h"
#include "client/source/payload_counts.h"
#include "client/source/rank_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Deadline In(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }
Deadline Soon() { return In(milliseconds(30'000)); }

// Two layers, of 2 and of 3 experts.
v1::JoinRequest JoinOf(int lag = 0) {
  v1::JoinRequest join;
  join.set_protocol_version(1);
  join.mutable_job()->set_name("run");
  join.mutable_job()->set_contributors(1);
  join.mutable_job()->set_lag(lag);
  join.mutable_job()->mutable_balance()->set_preset("loss_free");
  for (const auto& [name, experts] : {std::pair<const char*, int>{"a", 2}, {"b", 3}}) {
    v1::LayerSpec* layer = join.mutable_job()->add_layers();
    layer->set_name(name);
    layer->set_num_experts(experts);
    layer->set_top_k(1);
  }
  join.set_incarnation(11);
  return join;
}

void FillIn(StepCounts* counts) {
  const uint64_t values[] = {5, 4, 1, 1, 2, /*a*/ 9, 0, 0, /*b*/ 4, 0, 0, /*skips, replays*/ 0, 0, /*checks*/ 0, 0};
  std::copy(std::begin(values), std::end(values), counts->sums().begin());
}

// ---------------------------------------------------------------------------------------------------------------------
// What is written into a push

TEST(PackStepTest, WritesTheFlatArrays) {
  StepCounts counts({5, 2});
  FillIn(&counts);
  v1::PushRequest push;
  PackStep(counts, OwnedRows::Of(JoinOf()), &push);
  EXPECT_TRUE(push.ok());
  EXPECT_FALSE(push.counts_lost());
  EXPECT_THAT(push.valid_tokens(), ElementsAre(9, 4));
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
}

TEST(PackStepTest, WritesHighWordsAndShortSlotsOnlyWhereThereAreAny) {
  StepCounts counts({5, 2});
  FillIn(&counts);
  counts.mutable_counts()[3] = (uint64_t{7} << 32) + 1;
  counts.mutable_totals()[1].short_slots = 1;
  counts.set_skips(2);
  counts.set_replays(3);
  const OwnedRows owned = OwnedRows::Of(JoinOf());
  v1::PushRequest push;
  PackStep(counts, owned, &push);
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), ElementsAre(0, 0, 0, 7, 0));
  EXPECT_THAT(push.short_slots(), ElementsAre(0, 1));
  EXPECT_FALSE(push.ok());
  EXPECT_TRUE(push.replayed());

  // Later steps, in the same message.
  PackLoss(&push);
  EXPECT_TRUE(push.counts_lost());
  EXPECT_THAT(push.valid_tokens(), IsEmpty());
  EXPECT_THAT(push.routed().low(), IsEmpty());
  FillIn(&counts);
  PackStep(counts, owned, &push);
  EXPECT_FALSE(push.counts_lost());
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
  EXPECT_TRUE(push.ok());
  EXPECT_FALSE(push.replayed());
}

TEST(PackStepTest, AStageWritesTheLayersThatItOwns) {
  StepCounts counts({5, 2});
  FillIn(&counts);
  v1::JoinRequest join = JoinOf();
  join.add_owned_layers("b");
  v1::PushRequest push;
  PackStep(counts, OwnedRows::Of(join), &push);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(4));
  EXPECT_THAT(push.routed().low(), ElementsAre(1, 1, 2));
}

// "a" of 2 experts in two streams, which counts what was dispatched; "b" of 3.
v1::JoinRequest JoinWithStreams() {
  v1::JoinRequest join = JoinOf();
  join.mutable_job()->mutable_layers(0)->set_streams(2);
  join.mutable_job()->mutable_layers(0)->set_counts_dispatched(true);
  return join;
}

TEST(PackStepTest, WritesStreamsAndWhatWasDispatched) {
  StepCounts counts({/*experts=*/7, /*rows=*/3, /*dispatched=*/4});
  const uint64_t routed[] = {5, 4, 3, 2, /*b*/ 1, 0, 6};
  const uint64_t dispatched[] = {5, 1, 0, 2};
  std::copy(std::begin(routed), std::end(routed), counts.mutable_counts().begin());
  std::copy(std::begin(dispatched), std::end(dispatched), counts.mutable_dispatched().begin());
  for (int row = 0; row < 3; ++row) counts.mutable_totals()[row] = {uint64_t{9} - row, 0, 0};
  v1::JoinRequest join = JoinWithStreams();
  v1::PushRequest push;
  PackStep(counts, OwnedRows::Of(join), &push);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(9, 8, 7));
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 3, 2, 1, 0, 6));
  EXPECT_THAT(push.dispatched().low(), ElementsAre(5, 1, 0, 2));
  EXPECT_THAT(push.dispatched().high(), IsEmpty());

  // A lost step, in the same message, has none; nor has a stage without such a layer.
  PackLoss(&push);
  EXPECT_FALSE(push.has_dispatched());
  join.add_owned_layers("b");
  PackStep(counts, OwnedRows::Of(join), &push);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(7));
  EXPECT_THAT(push.routed().low(), ElementsAre(1, 0, 6));
  EXPECT_FALSE(push.has_dispatched());
  join.set_owned_layers(0, "a");
  counts.mutable_dispatched()[3] = uint64_t{1} << 32;
  PackStep(counts, OwnedRows::Of(join), &push);
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 3, 2));
  EXPECT_THAT(push.dispatched().low(), ElementsAre(5, 1, 0, 0));
  EXPECT_THAT(push.dispatched().high(), ElementsAre(0, 0, 0, 1));
}

// ---------------------------------------------------------------------------------------------------------------------
// The source

class CoordinatorSourceTest : public ::testing::Test {
 protected:
  void Join(OnLoss on_loss, milliseconds patience = milliseconds(200), int lag = 0) {
    loss_.on_loss = on_loss;
    loss_.patience = patience;
    LinkOptions link;
    link.backoff = {milliseconds(1), milliseconds(20)};
    source_ = std::make_unique<CoordinatorSource>(coordinator_.address(), JoinOf(lag), loss_, link);
    ASSERT_TRUE(source_->Join(1, Soon(), &joined_).ok());
    version_ = joined_.version();
  }

  void Push(uint64_t step) {
    StepCountsPtr counts = pool_.Take();
    FillIn(counts.get());
    counts->step = step;
    source_->Push(std::move(counts));
  }

  absl::StatusOr<bool> Await(uint64_t step) { return source_->Await(step, Soon(), &version_); }

  // A step with the version it asks for.
  void TakeStep(uint64_t step) {
    Push(step);
    ASSERT_EQ(Await(step + 1), absl::StatusOr<bool>(true));
    ASSERT_EQ(version_.state_hash(), coordinator_.VersionOf(1, step).state_hash());
  }

  // Steps that route on with what there is, while the coordinator is away.
  void HoldSteps(uint64_t first, uint64_t last) {
    for (uint64_t step = first; step <= last; ++step) {
      Push(step);
      ASSERT_EQ(Await(step + 1), absl::StatusOr<bool>(false)) << "step " << step;
    }
  }

  LossOptions loss_;
  ScriptedCoordinator coordinator_;
  StepCountsPool pool_{[] { return std::make_unique<StepCounts>(StepShape{5, 2}); }};
  v1::JoinResponse joined_;
  v1::CommittedVersion version_;
  std::unique_ptr<CoordinatorSource> source_;
};

TEST_F(CoordinatorSourceTest, PushesEveryStep) {
  Join(OnLoss::kHold, milliseconds(60'000));
  for (uint64_t step = 1; step <= 3; ++step) TakeStep(step);
  ASSERT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(false));
  EXPECT_EQ(coordinator_.Leaves().size(), 1);
  ASSERT_EQ(coordinator_.Pushes().size(), 3);
  const v1::PushRequest last = coordinator_.Pushes()[2];
  EXPECT_EQ(last.job(), "run");
  EXPECT_EQ(last.incarnation(), 11);
  EXPECT_EQ(last.epoch(), 1);
  EXPECT_EQ(last.step(), 3);
  EXPECT_EQ(last.routed_with().step(), 2);
  EXPECT_EQ(last.routed_with().epoch(), 1);
  EXPECT_FALSE(last.provisional());
  EXPECT_THAT(last.routed().low(), ElementsAre(5, 4, 1, 1, 2));
}

// Of a rank that routes with `bias`.
StepCountsPtr CheckedCounts(uint64_t step, absl::Span<const float> bias, StepCountsPool* pool) {
  StepCountsPtr counts = pool->Take();
  FillIn(counts.get());
  counts->step = step;
  WriteCheck(/*place=*/0, bias, counts.get());
  return counts;
}

// On time, with each lag, and with what is held or moved on while the coordinator is away.
TEST_F(CoordinatorSourceTest, ARankWithAnotherBiasIsNamedToTheCoordinator) {
  for (const OnLoss on_loss : {OnLoss::kHold, OnLoss::kLocal}) {
    for (const int lag : {0, 1}) {
      SCOPED_TRACE(testing::Message() << "lag " << lag << ", local " << (on_loss == OnLoss::kLocal));
      const size_t pushed_before = coordinator_.Pushes().size();
      Join(on_loss, milliseconds(300), lag);
      version_ = joined_.has_previous() ? joined_.previous() : joined_.version();
      for (uint64_t step = 1; step <= 9; ++step) {
        if (step == 4) coordinator_.Stop();
        v1::CommittedVersion wrong = version_;
        if (step % 4 == 3) wrong.set_bias(1, wrong.bias(1) + 1.0f);
        source_->Push(CheckedCounts(step, wrong.bias(), &pool_));
        ASSERT_TRUE(Await(step + 1).ok());
      }
      coordinator_.Start(/*epoch=*/2);
      ASSERT_TRUE(source_->Leave(Soon(), &version_).ok());
      std::set<uint64_t> steps;
      const std::vector<v1::PushRequest> pushes = coordinator_.Pushes();
      for (size_t i = pushed_before; i < pushes.size(); ++i) {
        steps.insert(pushes[i].step());
        EXPECT_EQ(pushes[i].rank_fingerprints_size(), 1);
        EXPECT_EQ(pushes[i].diverged_ranks_size(), pushes[i].step() % 4 == 3) << "step " << pushes[i].step();
      }
      EXPECT_EQ(steps.size(), 9);
      source_.reset();
      coordinator_.Stop();
      coordinator_.Start(/*epoch=*/1);
    }
  }
}

TEST(PackChecksTest, TellsRanksByTheirNumbers) {
  StepShape shape = {5, 2};
  shape.ranks = 3;
  const std::vector<float> bias = {1, 2};
  const std::vector<float> other = {2, 1};
  StepCounts counts(shape);
  WriteCheck(1, bias, &counts);
  WriteCheck(2, other, &counts);
  v1::PushRequest push;
  PackChecks(counts, BiasChecksum(bias), {10, 11, 12}, &push);
  EXPECT_THAT(push.diverged_ranks(), ElementsAre(12));
  EXPECT_THAT(push.rank_fingerprints(), IsEmpty()) << "nobody counted";

  FillIn(&counts);
  WriteCheck(1, bias, &counts);
  PackChecks(counts, BiasChecksum(other), {10, 11, 12}, &push);
  EXPECT_THAT(push.diverged_ranks(), ElementsAre(11));
  EXPECT_THAT(push.rank_fingerprints(), ElementsAre(0, counts.checks()[1].counts, 0));

  PackLoss(&push);
  EXPECT_THAT(push.diverged_ranks(), IsEmpty());
  EXPECT_THAT(push.rank_fingerprints(), IsEmpty());
}

TEST_F(CoordinatorSourceTest, HoldRoutesOnAndDeliversInOrder) {
  Join(OnLoss::kHold);
  TakeStep(1);
  coordinator_.Stop();
  HoldSteps(2, 21);
  EXPECT_EQ(source_->backlog().undelivered, 20);
  coordinator_.Start(/*epoch=*/2);
  ASSERT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 21);
  EXPECT_EQ(source_->backlog().undelivered, 0);

  // Each step once it counted, in order, and with the version that routed it.
  uint64_t committed = 1;
  for (const v1::PushRequest& push : coordinator_.Pushes()) {
    if (push.epoch() != 2) continue;
    if (push.step() == committed) continue;
    EXPECT_EQ(push.step(), ++committed);
    EXPECT_EQ(push.routed_with().step(), 1);
    EXPECT_FALSE(push.provisional());
  }
  EXPECT_EQ(committed, 21);
}

TEST_F(CoordinatorSourceTest, AfterALossTheWorkerCatchesUp) {
  Join(OnLoss::kHold, milliseconds(2'000));
  coordinator_.Stop();
  HoldSteps(1, 5);
  coordinator_.Start(/*epoch=*/2);
  while (source_->backlog().undelivered == 5) std::this_thread::yield();
  uint64_t newest = 0;
  for (uint64_t step = 6; newest < step - 1; ++step) {
    Push(step);
    const absl::StatusOr<bool> is_new = Await(step + 1);
    ASSERT_TRUE(is_new.ok()) << is_new.status();
    EXPECT_EQ(*is_new, version_.version().step() > newest);
    newest = version_.version().step();
    ASSERT_LE(newest, step);
    // Whatever the pace of both, and at the latest when the test's time is up.
    if (newest == step) break;
  }
  EXPECT_EQ(source_->backlog().undelivered, 0);
}

// However long after the last delivery a step is pushed.
TEST_F(CoordinatorSourceTest, OnceAllIsDeliveredAStepWaitsForItsVersionAgain) {
  Join(OnLoss::kHold, milliseconds(500));
  coordinator_.Stop();
  HoldSteps(1, 3);
  coordinator_.Start(/*epoch=*/2);
  while (source_->backlog().undelivered > 0) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(20));
  Push(4);
  ASSERT_EQ(Await(5), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 4);
}

TEST_F(CoordinatorSourceTest, PatienceMayBeEndless) {
  Join(OnLoss::kHold, milliseconds::max());
  for (uint64_t step = 1; step <= 3; ++step) TakeStep(step);
}

TEST_F(CoordinatorSourceTest, WaitIsBoundAndSaysWhatItWaitsFor) {
  Join(OnLoss::kWait);
  coordinator_.Stop();
  Push(1);
  absl::Status status;
  do {
    status = source_->Await(2, In(milliseconds(20)), &version_).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_THAT(std::string(status.message()), HasSubstr("step 1 is not committed yet"));
  } while (status.message().find("UNAVAILABLE") == absl::string_view::npos);
  coordinator_.Start(/*epoch=*/2);
  EXPECT_EQ(Await(2), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 1);
}

TEST_F(CoordinatorSourceTest, FailIsAnErrorForGood) {
  Join(OnLoss::kFail);
  coordinator_.Stop();
  for (uint64_t step = 1; step <= 2; ++step) {
    Push(step);
    const absl::Status status = Await(step + 1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("step 1 is not committed yet"));
  }
}

TEST_F(CoordinatorSourceTest, LocalMovesTheBiasOnAndComesBack) {
  Join(OnLoss::kLocal);
  TakeStep(1);
  coordinator_.Stop();
  Continuation expected(job::PlanJob(JoinOf().job(), v1::BalanceConfig(), job::NoLimits()).value(), version_);
  for (uint64_t step = 2; step <= 5; ++step) {
    Push(step);
    ASSERT_EQ(Await(step + 1), absl::StatusOr<bool>(true));
    StepCounts counts({5, 2});
    FillIn(&counts);
    counts.step = step;
    ASSERT_TRUE(expected.Advance(counts).ok());
    EXPECT_EQ(version_.state_hash(), expected.Version().state_hash()) << "step " << step;
    EXPECT_EQ(version_.version().step(), 1) << "that it was made of";
  }
  coordinator_.Start(/*epoch=*/2);
  ASSERT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 5);
  EXPECT_EQ(version_.state_hash(), coordinator_.VersionOf(2, 5).state_hash());
  for (const v1::PushRequest& push : coordinator_.Pushes()) {
    if (push.step() < 3) continue;
    EXPECT_TRUE(push.provisional()) << "step " << push.step();
    EXPECT_EQ(push.routed_with().step(), 1);
  }
}

TEST_F(CoordinatorSourceTest, AFullLogLosesTheOldestAndSaysSo) {
  loss_.log_steps = 4;
  Join(OnLoss::kHold);
  coordinator_.Stop();
  HoldSteps(1, 10);
  EXPECT_EQ(source_->backlog().undelivered, 10);
  EXPECT_EQ(source_->backlog().lost, 6);
  coordinator_.Start(/*epoch=*/2);
  ASSERT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(true));
  for (const v1::PushRequest& push : coordinator_.Pushes()) {
    EXPECT_EQ(push.counts_lost(), push.step() >= 2 && push.step() <= 7) << "step " << push.step();
  }
  EXPECT_EQ(source_->backlog().lost, 6);
}

TEST_F(CoordinatorSourceTest, AFullLogMayBeAnError) {
  loss_.log_steps = 4;
  loss_.fail_when_full = true;
  Join(OnLoss::kHold);
  coordinator_.Stop();
  HoldSteps(1, 4);
  Push(5);
  const absl::Status status = Await(6).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("loss.log_steps = 4"));
}

TEST_F(CoordinatorSourceTest, WhatTheCoordinatorRefusesIsFinalWhateverThePolicy) {
  for (const OnLoss on_loss : {OnLoss::kHold, OnLoss::kWait, OnLoss::kLocal, OnLoss::kFail}) {
    Join(on_loss, milliseconds(30'000));
    coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
      return ServiceError(absl::StatusCode::kAlreadyExists, v1::ErrorDetail::REPLACED, "a newer incarnation");
    });
    Push(1);
    EXPECT_EQ(Await(2).status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ(source_->Leave(Soon(), &version_).status().code(), absl::StatusCode::kAlreadyExists);
  }
}

TEST_F(CoordinatorSourceTest, RowsThatADeviceRefusedEndIt) {
  Join(OnLoss::kHold, milliseconds(30'000));
  StepCountsPtr counts = pool_.Take();
  FillIn(counts.get());
  counts->step = 1;
  counts->mutable_totals()[1].refused = 2;
  source_->Push(std::move(counts));
  const absl::Status status = Await(2).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"b\""));
  EXPECT_THAT(coordinator_.Pushes(), IsEmpty());
}

TEST_F(CoordinatorSourceTest, WithALagEveryVersionComesAStepLater) {
  Join(OnLoss::kWait, milliseconds(1), /*lag=*/1);
  Push(1);
  EXPECT_EQ(Await(2), absl::StatusOr<bool>(false)) << "the first version routes two steps";
  for (uint64_t step = 2; step <= 5; ++step) {
    Push(step);
    ASSERT_EQ(Await(step + 1), absl::StatusOr<bool>(true));
    EXPECT_EQ(version_.version().step(), step - 1);
  }
  ASSERT_EQ(source_->Leave(Soon(), &version_), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 5);
  for (const v1::PushRequest& push : coordinator_.Pushes()) {
    EXPECT_EQ(push.routed_with().step(), push.step() < 2 ? 0 : push.step() - 2);
  }
}

TEST_F(CoordinatorSourceTest, WithALagAJoinInTheMiddleHasBothVersions) {
  coordinator_.ScriptJoin([this](const v1::JoinRequest& join, v1::JoinResponse* response) {
    EXPECT_TRUE(coordinator_.AnswerJoin(join, response).ok());
    *response->mutable_version() = coordinator_.VersionOf(1, 8);
    *response->mutable_previous() = coordinator_.VersionOf(1, 7);
    return absl::OkStatus();
  });
  Join(OnLoss::kWait, milliseconds(1), /*lag=*/1);
  Push(9);
  ASSERT_EQ(Await(10), absl::StatusOr<bool>(true));
  EXPECT_EQ(version_.version().step(), 8);
}

TEST_F(CoordinatorSourceTest, EndsWithPushesUnderWay) {
  Join(OnLoss::kHold);
  coordinator_.Stop();
  HoldSteps(1, 5);
  source_.reset();
}

}  // namespace
}  // namespace evenkeel::client
