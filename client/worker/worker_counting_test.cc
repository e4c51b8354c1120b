// What a worker counts, and what it does not: kinds of counting, recomputed forwards, captures, on the host and through
// the public header.

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/link/scripted_coordinator.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel {
namespace {

using client::ScriptedCoordinator;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The caller's indices of the layers below. By name, 1 comes first.
constexpr int kRouted = 0;
constexpr int kCounted = 1;
constexpr int kExperts = 4;
constexpr int kTopK = 2;
constexpr int64_t kRows = 5;

std::vector<float> Logits(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> logits(kRows * kExperts);
  for (float& logit : logits) logit = static_cast<float>(random() % 4000) / 1000 - 2;
  return logits;
}

class WorkerCountingTest : public ::testing::Test {
 protected:
  WorkerOptions Options() const {
    WorkerOptions options;
    options.coordinator = coordinator_.address();
    options.job = "run";
    options.layers = {{"b.routed", kExperts, kTopK, R"({"score": "SIGMOID"})"}, {"a.counted", 3, 1, ""}};
    return options;
  }
  WorkerOptions Alone() const {
    WorkerOptions options = Options();
    options.coordinator = "";
    options.balance = "preset: loss_free";
    return options;
  }

  void Join(const WorkerOptions& options) {
    Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
    ASSERT_TRUE(worker.ok()) << worker.status().message();
    worker_ = std::move(*worker);
  }

  static void ExpectOk(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }
  static void ExpectError(const Status& status, StatusCode code, const std::string& named) {
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(status.message(), HasSubstr(named));
  }

  // Routes one micro-batch, and gives its ids and weights.
  std::pair<std::vector<int32_t>, std::vector<float>> Route(uint64_t seed, int64_t micro_batch = -1,
                                                            const uint8_t* valid_mask = nullptr) {
    const std::vector<float> logits = Logits(seed);
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = logits.data();
    tokens.valid_mask = valid_mask;
    tokens.micro_batch = micro_batch;
    std::pair<std::vector<int32_t>, std::vector<float>> result(kRows * kTopK, kRows * kTopK);
    ExpectOk(worker_->Route(kRouted, tokens, {result.first.data(), result.second.data()}));
    return result;
  }

  Status RouteReplay(uint64_t seed, const std::vector<int32_t>& ids, std::vector<float>* weights) {
    const std::vector<float> logits = Logits(seed);
    Tokens tokens;
    tokens.rows = kRows;
    tokens.logits = logits.data();
    tokens.replay_ids = ids.data();
    weights->resize(kRows * kTopK);
    return worker_->Route(kRouted, tokens, {nullptr, weights->data()});
  }

  void Step(uint64_t step, uint64_t seed) {
    ExpectOk(worker_->BeginStep(step));
    Route(seed);
    ExpectOk(worker_->Commit(step));
  }

  std::vector<float> Bias() const { return {worker_->bias(kRouted), worker_->bias(kRouted) + kExperts}; }

  // Of the step that was pushed as number `index`: b.routed.
  std::vector<uint32_t> Pushed(size_t index) const {
    const v1::PushRequest push = coordinator_.Pushes().at(index);
    return {push.routed().low().begin() + 3, push.routed().low().end()};
  }

  ScriptedCoordinator coordinator_;
  std::unique_ptr<Worker> worker_;
};

std::vector<uint32_t> CountsOf(const std::vector<int32_t>& ids) {
  std::vector<uint32_t> counts(kExperts);
  for (const int32_t id : ids) ++counts[id];
  return counts;
}

// ---------------------------------------------------------------------------------------------------------------------
// Evaluation

TEST_F(WorkerCountingTest, Pitfall08EvaluationIsRoutedAndNotCounted) {
  Join(Options());
  // Before the first step, in one, between two, and at the end.
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  const auto before = Route(1);
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->BeginStep(1));
  EXPECT_EQ(Route(1), before) << "by the same bias";
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  EXPECT_EQ(Route(1), before);
  Route(2);
  const int32_t id = 2;
  ExpectOk(worker_->Count(kCounted, &id, 1));
  const uint64_t counts[] = {0, 0, 1};
  ExpectOk(worker_->AddCounts(kCounted, counts, 1));
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->Count(kCounted, &id, 1));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  for (uint64_t seed = 0; seed < 20; ++seed) Route(seed);
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  Step(2, 3);
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  ExpectOk(worker_->Leave());
  Route(4);

  ASSERT_EQ(coordinator_.Pushes().size(), 2);
  EXPECT_EQ(Pushed(0), CountsOf(before.first));
  EXPECT_THAT(coordinator_.Pushes()[0].valid_tokens(), ElementsAre(1, kRows));
  EXPECT_THAT(coordinator_.Pushes()[1].valid_tokens(), ElementsAre(0, kRows));
}

TEST_F(WorkerCountingTest, EvaluationChecksWhatItDoesNotCount) {
  Join(Options());
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  const int32_t id = 3;
  ExpectError(worker_->Count(kCounted, &id, 1), StatusCode::kInvalidArgument, "ids: row 0 holds 3");
  const uint64_t counts[] = {1, 1, 1};
  ExpectError(worker_->AddCounts(kCounted, counts, 2), StatusCode::kInvalidArgument, "counts add up to 3");
  Tokens tokens;
  tokens.rows = 1;
  ExpectError(worker_->Route(kRouted, tokens, {}), StatusCode::kInvalidArgument, "logits");
  ExpectError(worker_->Route(kCounted, {}, {}), StatusCode::kFailedPrecondition, "without a route");
  ExpectError(worker_->Count(7, &id, 1), StatusCode::kInvalidArgument, "layer is 7");
}

// Whoever forgets to go back hears of it, and does not train without counting.
TEST_F(WorkerCountingTest, Pitfall08NothingIsTrainedWhileTheWorkerEvaluates) {
  Join(Options());
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  ExpectError(worker_->BeginStep(1), StatusCode::kFailedPrecondition, "BeginStep(1): the worker evaluates");
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  ExpectError(worker_->Commit(1), StatusCode::kFailedPrecondition, "Commit(1): the worker evaluates");
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
}

TEST_F(WorkerCountingTest, AStepIsOfOneKind) {
  Join(Options());
  for (const Counting kind : {Counting::kTrain, Counting::kDryRun, Counting::kReplay}) {
    ExpectOk(worker_->SetCounting(kind));
    ExpectOk(worker_->BeginStep(1));
    for (const Counting other : {Counting::kTrain, Counting::kDryRun, Counting::kReplay}) {
      if (other == kind) continue;
      ExpectError(worker_->SetCounting(other), StatusCode::kFailedPrecondition, "step 1 began with");
      ExpectOk(worker_->SetCounting(Counting::kEvaluate));
      ExpectError(worker_->SetCounting(other), StatusCode::kFailedPrecondition, "step 1 began with");
      ExpectOk(worker_->SetCounting(kind));
    }
    if (kind == Counting::kTrain) {
      ExpectOk(worker_->Commit(1));
      ExpectOk(worker_->Leave());
      Join(Options());
    } else if (kind == Counting::kDryRun) {
      ExpectOk(worker_->Commit(1));
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Dry runs

TEST_F(WorkerCountingTest, Pitfall30NothingRemainsOfADryRun) {
  const auto train = [&](bool dry_runs) {
    Join(Alone());
    std::vector<std::vector<float>> biases;
    for (uint64_t step = 1; step <= 20; ++step) {
      if (dry_runs && step % 3 == 1) {
        ExpectOk(worker_->SetCounting(Counting::kDryRun));
        for (int run = 0; run < 3; ++run) {
          const std::vector<float> before = Bias();
          ExpectOk(worker_->BeginStep(step));
          EXPECT_EQ(Bias(), before) << "nothing new is asked for";
          Route(100 + run, /*micro_batch=*/0);
          ExpectOk(worker_->Commit(step, /*ok=*/run != 1));
        }
        ExpectOk(worker_->SetCounting(Counting::kTrain));
      }
      ExpectOk(worker_->BeginStep(step));
      biases.push_back(Bias());
      Route(step, /*micro_batch=*/0);
      ExpectOk(worker_->Commit(step));
    }
    ExpectOk(worker_->Leave());
    biases.push_back(Bias());
    return biases;
  };
  const auto expected = train(false);
  EXPECT_NE(expected.front(), expected.back());
  EXPECT_EQ(train(true), expected);
}

TEST_F(WorkerCountingTest, Pitfall30ADryRunIsNotPushed) {
  Join(Options());
  ExpectOk(worker_->SetCounting(Counting::kDryRun));
  ExpectOk(worker_->BeginStep(1));
  Route(1);
  ExpectError(worker_->Commit(2), StatusCode::kFailedPrecondition, "Commit(2): step 1 has begun");
  ExpectOk(worker_->Commit(1));
  ExpectError(worker_->BeginStep(2), StatusCode::kFailedPrecondition, "BeginStep(1) comes next");
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->Leave());
  EXPECT_TRUE(coordinator_.Pushes().empty());
}

// ---------------------------------------------------------------------------------------------------------------------
// Replays

TEST_F(WorkerCountingTest, Pitfall24AReplayHasTheIdsOfTheRolloutAndMovesNothing) {
  Join(Alone());
  Step(1, 1);
  ExpectOk(worker_->BeginStep(2));
  const auto [ids, weights] = Route(2);
  ExpectOk(worker_->Commit(2));
  ExpectOk(worker_->SetCounting(Counting::kReplay));
  ExpectOk(worker_->BeginStep(3));
  const std::vector<float> before = Bias();
  std::vector<float> replayed;
  ExpectOk(RouteReplay(2, ids, &replayed));
  EXPECT_EQ(replayed, weights);
  ExpectOk(worker_->Commit(3));
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->BeginStep(4));
  EXPECT_EQ(worker_->report().step, 3);
  EXPECT_EQ(worker_->report().tokens, kRows) << "counted, for people to look at";
  EXPECT_TRUE(worker_->report().ok);
  EXPECT_EQ(Bias(), before);
  Route(4);
  ExpectOk(worker_->Commit(4));
  ExpectOk(worker_->Leave());
  EXPECT_NE(Bias(), before);
}

TEST_F(WorkerCountingTest, Pitfall24AReplayIsPushedAsOne) {
  Join(Options());
  ExpectOk(worker_->SetCounting(Counting::kReplay));
  ExpectOk(worker_->BeginStep(1));
  std::vector<int32_t> ids = {3, 1, 0, 1, 2, 0, 1, -1, 2, 2};
  std::vector<float> weights;
  ExpectOk(RouteReplay(1, ids, &weights));
  const int32_t counted = 1;
  ExpectOk(worker_->Count(kCounted, &counted, 1));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  Step(2, 1);
  ExpectOk(worker_->Leave());
  const v1::PushRequest push = coordinator_.Pushes().at(0);
  EXPECT_TRUE(push.replayed());
  EXPECT_TRUE(push.ok());
  EXPECT_THAT(Pushed(0), ElementsAre(2, 3, 2, 1));
  // An id that is twice in its row is short the second time, as one that is none.
  EXPECT_THAT(push.short_slots(), ElementsAre(0, 2));
  EXPECT_EQ(weights[7], 0);
  EXPECT_EQ(weights[9], 0);
  EXPECT_FALSE(coordinator_.Pushes().at(1).replayed());
}

TEST_F(WorkerCountingTest, ReplayIdsGoWithReplaysOnly) {
  Join(Options());
  const std::vector<int32_t> ids(kRows * kTopK, -1);
  std::vector<float> weights;
  ExpectOk(worker_->BeginStep(1));
  ExpectError(RouteReplay(1, ids, &weights), StatusCode::kInvalidArgument, "replay_ids are given");
  ExpectOk(worker_->SetCounting(Counting::kEvaluate));
  ExpectError(RouteReplay(1, ids, &weights), StatusCode::kInvalidArgument, "replay_ids are given");
  ExpectOk(worker_->SetCounting(Counting::kTrain));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->SetCounting(Counting::kReplay));
  ExpectOk(worker_->BeginStep(2));
  const std::vector<float> logits = Logits(1);
  ExpectError(worker_->Route(kRouted, {kRows, logits.data()}, {}), StatusCode::kInvalidArgument, "replay_ids is null");
  Tokens tokens;
  tokens.rows = kRows;
  tokens.logits = logits.data();
  tokens.replay_ids = ids.data();
  tokens.replay_stride = 1;
  ExpectError(worker_->Route(kRouted, tokens, {}), StatusCode::kInvalidArgument, "replay_stride");
  ExpectOk(worker_->Commit(2));
  ExpectOk(worker_->Leave());
  EXPECT_THAT(coordinator_.Pushes().at(1).valid_tokens(), ElementsAre(0, 0));
}

// ---------------------------------------------------------------------------------------------------------------------
// Recomputed forwards

TEST_F(WorkerCountingTest, Pitfall03ARecomputedForwardIsCountedOnce) {
  Join(Options());
  ExpectOk(worker_->BeginStep(1));
  const auto first = Route(1, /*micro_batch=*/0);
  EXPECT_EQ(Route(1, /*micro_batch=*/0), first) << "routed again, the same";
  EXPECT_EQ(Route(1, /*micro_batch=*/0), first);
  ExpectOk(worker_->Commit(1));
  // The numbers are those of a step.
  ExpectOk(worker_->BeginStep(2));
  const auto second = Route(1, /*micro_batch=*/0);
  ExpectOk(worker_->Commit(2));
  ExpectOk(worker_->Leave());
  EXPECT_EQ(Pushed(0), CountsOf(first.first));
  EXPECT_EQ(Pushed(1), CountsOf(second.first));
}

// A check of Count and AddCounts stays a check.
TEST_F(WorkerCountingTest, Pitfall03WhatIsCountedAgainIsCheckedAndNotCounted) {
  Join(Options());
  ExpectOk(worker_->BeginStep(1));
  const int32_t id = 1;
  Ids ids = {1, &id};
  ids.micro_batch = 7;
  for (int pass = 0; pass < 3; ++pass) ExpectOk(worker_->Count(kCounted, ids));
  const int32_t bad = 3;
  ids.ids = &bad;
  ExpectError(worker_->Count(kCounted, ids), StatusCode::kInvalidArgument, "row 0 holds 3");
  const uint64_t given[] = {0, 2, 0};
  Counts counts = {given, 2};
  counts.micro_batch = 8;
  for (int pass = 0; pass < 3; ++pass) ExpectOk(worker_->AddCounts(kCounted, counts));
  counts.valid_tokens = 3;
  ExpectError(worker_->AddCounts(kCounted, counts), StatusCode::kInvalidArgument, "counts add up to 2");
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  EXPECT_THAT(coordinator_.Pushes().at(0).routed().low(), ElementsAre(0, 3, 0, 0, 0, 0, 0));
}

TEST_F(WorkerCountingTest, WhatWasRefusedMayBeCountedUnderItsNumber) {
  Join(Options());
  ExpectOk(worker_->BeginStep(1));
  int32_t id = 3;
  Ids ids = {1, &id};
  ids.micro_batch = 0;
  ExpectError(worker_->Count(kCounted, ids), StatusCode::kInvalidArgument, "row 0 holds 3");
  id = 2;
  ExpectOk(worker_->Count(kCounted, ids));
  ids.micro_batch = 65'536;
  ExpectError(worker_->Count(kCounted, ids), StatusCode::kInvalidArgument, "micro_batch is 65536");
  ids.micro_batch = -2;
  ExpectError(worker_->Count(kCounted, ids), StatusCode::kInvalidArgument, "micro_batch is -2");
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  EXPECT_THAT(coordinator_.Pushes().at(0).routed().low(), ElementsAre(0, 0, 1, 0, 0, 0, 0));
}

// Whatever is recomputed, in whatever order: all layers or some, micro-batches of a pipeline by turns (1F1B), forwards
// in the midst of an evaluation. Against a plain set of what has been counted.
TEST_F(WorkerCountingTest, Pitfall03RecomputationIsCountedOnceInAnyOrder) {
  constexpr int kMicroBatches = 6;
  for (int seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    ScriptedCoordinator coordinator;
    WorkerOptions options = Options();
    options.coordinator = coordinator.address();
    options.layers.push_back({"c.routed", kExperts, kTopK, R"({"score": "SIGMOID"})"});
    Join(options);
    std::vector<std::vector<uint64_t>> expected;
    for (uint64_t step = 1; step <= 3; ++step) {
      ExpectOk(worker_->BeginStep(step));
      std::set<std::pair<int, int64_t>> counted;
      std::vector<uint64_t> sums(2 * kExperts);
      for (int call = 0; call < 60; ++call) {
        const bool evaluates = random() % 10 == 0;
        const int place = static_cast<int>(random() % 2);
        const int64_t micro_batch = static_cast<int64_t>(random() % (kMicroBatches + 1)) - 1;
        const std::vector<float> logits = Logits(step * 1000 + place * 100 + micro_batch);
        Tokens tokens = {kRows, logits.data()};
        tokens.micro_batch = micro_batch;
        std::vector<int32_t> ids(kRows * kTopK);
        if (evaluates) ExpectOk(worker_->SetCounting(Counting::kEvaluate));
        ExpectOk(worker_->Route(place == 0 ? kRouted : 2, tokens, {ids.data(), nullptr}));
        if (evaluates) ExpectOk(worker_->SetCounting(Counting::kTrain));
        if (evaluates) continue;
        if (micro_batch >= 0 && !counted.insert({place, micro_batch}).second) continue;
        for (const int32_t id : ids) ++sums[place * kExperts + id];
      }
      ExpectOk(worker_->Commit(step));
      expected.push_back(sums);
    }
    ExpectOk(worker_->Leave());
    const auto pushes = coordinator.Pushes();
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto& low = pushes.at(i).routed().low();
      EXPECT_EQ(std::vector<uint64_t>(low.begin() + 3, low.end()), expected[i]) << "step " << i + 1;
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Captures

// On the host nothing is captured; what is counted meanwhile is taken back all the same.
TEST_F(WorkerCountingTest, Pitfall16WhatACaptureCountsIsTakenBack) {
  Join(Options());
  ExpectOk(worker_->BeginStep(1));
  const auto counted = Route(1, /*micro_batch=*/0);
  ExpectOk(worker_->BeginCapture());
  for (int pass = 0; pass < 4; ++pass) Route(2, /*micro_batch=*/pass % 2);
  const int32_t id = 0;
  ExpectOk(worker_->Count(kCounted, &id, 1));
  ExpectOk(worker_->EndCapture());
  Route(1, /*micro_batch=*/0);  // has been counted before
  const auto second = Route(3, /*micro_batch=*/1);
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  std::vector<uint32_t> expected = CountsOf(counted.first);
  const std::vector<uint32_t> more = CountsOf(second.first);
  for (int expert = 0; expert < kExperts; ++expert) expected[expert] += more[expert];
  EXPECT_EQ(Pushed(0), expected);
  EXPECT_THAT(coordinator_.Pushes().at(0).valid_tokens(), ElementsAre(0, 2 * kRows));
}

TEST_F(WorkerCountingTest, ACaptureIsWithinAStep) {
  Join(Options());
  ExpectError(worker_->BeginCapture(), StatusCode::kFailedPrecondition, "BeginCapture: BeginStep(1) comes next");
  ExpectError(worker_->EndCapture(), StatusCode::kFailedPrecondition, "EndCapture: BeginCapture comes first");
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->BeginCapture());
  ExpectError(worker_->BeginCapture(), StatusCode::kFailedPrecondition, "BeginCapture: EndCapture comes first");
  ExpectError(worker_->Commit(1), StatusCode::kFailedPrecondition, "Commit(1): EndCapture comes first");
  ExpectOk(worker_->EndCapture());
  ExpectError(worker_->EndCapture(), StatusCode::kFailedPrecondition, "EndCapture: BeginCapture comes first");
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  ExpectError(worker_->BeginCapture(), StatusCode::kFailedPrecondition, "has left");
}

// ---------------------------------------------------------------------------------------------------------------------
// Masks, micro-batches, skipped steps

// An inverted mask leaves the tokens with -1 and 0, whose model output is nothing at once; and the number of valid
// tokens is in every report.
TEST_F(WorkerCountingTest, Pitfall09PaddingIsNeitherRoutedNorCounted) {
  Join(Options());
  ExpectOk(worker_->BeginStep(1));
  const uint8_t valid_mask[kRows] = {1, 0, 1, 1, 0};
  const auto all = Route(1, -1, nullptr);
  const auto valid = Route(1, -1, valid_mask);
  std::vector<uint32_t> expected = CountsOf(all.first);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t slot = row * kTopK; slot < (row + 1) * kTopK; ++slot) {
      EXPECT_EQ(valid.first[slot], valid_mask[row] ? all.first[slot] : -1);
      EXPECT_EQ(valid.second[slot], valid_mask[row] ? all.second[slot] : 0);
      if (valid_mask[row]) ++expected[all.first[slot]];
    }
  }
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  EXPECT_EQ(Pushed(0), expected);
  EXPECT_EQ(coordinator_.Pushes().at(0).valid_tokens(1), kRows + 3) << "which tells an inverted mask";
}

TEST_F(WorkerCountingTest, Pitfall04MicroBatchesMoveTheBiasOnceByTheirSum) {
  const auto train = [&](int parts) {
    Join(Alone());
    for (uint64_t step = 1; step <= 10; ++step) {
      ExpectOk(worker_->BeginStep(step));
      std::vector<float> logits;
      for (int part = 0; part < 4; ++part) {
        const std::vector<float> more = Logits(step * 10 + part);
        logits.insert(logits.end(), more.begin(), more.end());
      }
      const int64_t rows = 4 * kRows / parts;
      for (int part = 0; part < parts; ++part) {
        Tokens tokens = {rows, logits.data() + part * rows * kExperts};
        tokens.micro_batch = part;
        ExpectOk(worker_->Route(kRouted, tokens, {}));
      }
      ExpectOk(worker_->Commit(step));
    }
    ExpectOk(worker_->Leave());
    return Bias();
  };
  const std::vector<float> whole = train(1);
  EXPECT_NE(whole, std::vector<float>(kExperts));
  for (const int parts : {2, 4, 10, 20}) EXPECT_EQ(train(parts), whole) << parts;
}

TEST_F(WorkerCountingTest, Pitfall05AStepThatWasNotTakenMovesTheBiasByPolicyOnly) {
  for (const OnSkip on_skip : {OnSkip::kDrop, OnSkip::kApply}) {
    WorkerOptions options = Alone();
    options.on_skip = on_skip;
    Join(options);
    Step(1, 1);
    ExpectOk(worker_->BeginStep(2));
    const std::vector<float> before = Bias();
    Route(2);
    ExpectOk(worker_->Commit(2, /*ok=*/false));
    ExpectOk(worker_->BeginStep(3));
    EXPECT_FALSE(worker_->report().ok);
    EXPECT_EQ(Bias() == before, on_skip == OnSkip::kDrop);
    ExpectOk(worker_->Leave());
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What a job does with its counts

TEST_F(WorkerCountingTest, JobModesGoIntoTheJoin) {
  WorkerOptions options = Options();
  options.mode = JobMode::kFrozen;
  options.on_skip = OnSkip::kApply;
  options.on_violation = OnViolation::kHalt;
  options.on_missing = OnMissing::kCommitWithout;
  options.membership = R"({"step_deadline_ms": 5000})";
  options.tokens_per_step = 4096;
  options.layers[kCounted].balance = "rate: 0.5";
  Join(options);
  const v1::JobSpec job = coordinator_.Joins().at(0).job();
  EXPECT_EQ(job.mode(), v1::JobSpec::Mode::FROZEN);
  EXPECT_EQ(job.skip_policy(), v1::JobSpec::SkipPolicy::APPLY);
  EXPECT_EQ(job.invariant_policy(), v1::JobSpec::InvariantPolicy::HALT);
  EXPECT_EQ(job.missing_policy(), v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  EXPECT_EQ(job.membership().step_deadline_ms(), 5000u);
  EXPECT_FALSE(job.membership().has_heartbeat_timeout_ms());
  EXPECT_EQ(job.tokens_per_step(), 4096);
  EXPECT_EQ(job.world_size(), 1);
  ASSERT_EQ(job.overrides_size(), 1);
  EXPECT_EQ(job.overrides(0).layer(), "a.counted");
  EXPECT_EQ(job.overrides(0).balance().rate(), 0.5);
}

TEST_F(WorkerCountingTest, AnObservedJobCountsAndHasNoBias) {
  WorkerOptions options = Alone();
  options.mode = JobMode::kObserve;
  for (const int lag : {0, 1}) {
    options.lag = lag;
    Join(options);
    const std::vector<float> zero(kExperts);
    ExpectOk(worker_->BeginStep(1));
    const auto first = Route(1);
    ExpectOk(worker_->Commit(1));
    for (uint64_t step = 2; step <= 6; ++step) {
      ExpectOk(worker_->BeginStep(step));
      EXPECT_EQ(Bias(), zero);
      EXPECT_EQ(Route(1), first) << "routed with a bias of 0";
      ExpectOk(worker_->Commit(step));
    }
    ExpectOk(worker_->Leave());
    EXPECT_EQ(Bias(), zero);
    EXPECT_EQ(worker_->report().bias_hash, 0);
    EXPECT_EQ(worker_->report().tokens, kRows);
    EXPECT_GT(worker_->report().max_violation[kRouted], 0) << "people look at it";
    EXPECT_THAT(worker_->summary(), HasSubstr("observed"));
  }
}

TEST_F(WorkerCountingTest, AnObservedJobBeginsWithNoBias) {
  WorkerOptions options = Options();
  options.mode = JobMode::kObserve;
  options.layers[kRouted].initial_bias = {0, 0, 1, 0};
  for (const std::string& coordinator : {coordinator_.address(), std::string()}) {
    options.coordinator = coordinator;
    const auto worker = Worker::Join(options);
    ASSERT_FALSE(worker.ok());
    ExpectError(worker.status(), StatusCode::kInvalidArgument, "layer \"b.routed\": initial_bias is given");
  }
  EXPECT_TRUE(coordinator_.Joins().empty());
}

TEST_F(WorkerCountingTest, AFrozenJobKeepsTheBiasOfItsModel) {
  WorkerOptions options = Alone();
  options.mode = JobMode::kFrozen;
  options.layers[kRouted].initial_bias = {0.5f, -0.25f, 0, 1};
  Join(options);
  uint64_t hash = worker_->report().bias_hash;
  EXPECT_NE(hash, 0);
  for (uint64_t step = 1; step <= 5; ++step) Step(step, step);
  ExpectOk(worker_->Leave());
  EXPECT_EQ(Bias(), options.layers[kRouted].initial_bias);
  EXPECT_EQ(worker_->report().bias_hash, hash);
  EXPECT_EQ(worker_->report().tokens, kRows);
}

// ---------------------------------------------------------------------------------------------------------------------
// Layers

// Counts everything at `layer` with the first expert.
void CountFirst(Worker* worker, int layer, int num_experts, int top_k, uint64_t tokens) {
  std::vector<uint64_t> counts(num_experts);
  for (int slot = 0; slot < top_k; ++slot) counts[slot] = tokens;
  EXPECT_TRUE(worker->AddCounts(layer, counts.data(), tokens).ok());
}

// A frozen layer (a teacher's, an adapter's), one whose target leaves experts out (identity or skip experts, as
// LongCat's zero-computation experts), one by another preset, and one by the job's: each by its own.
TEST_F(WorkerCountingTest, Pitfall15LayersDifferInHowTheyAreBalanced) {
  WorkerOptions options = Alone();
  options.balance = "{preset: loss_free, rate: 0.5}";
  options.layers = {{"a.usual", 4, 2, ""}, {"b.frozen", 4, 2, ""}, {"c.zero_experts", 6, 2, ""}, {"d.other", 4, 2, ""}};
  options.layers[1].balance = "frozen: true";
  options.layers[2].balance = "target: [0.2, 0.2, 0.2, 0.2, -1, -1]";
  options.layers[3].balance = "{preset: torchtitan, rate: 0.25}";
  Join(options);
  ExpectOk(worker_->BeginStep(1));
  for (int layer = 0; layer < 4; ++layer) CountFirst(worker_.get(), layer, options.layers[layer].num_experts, 2, 8);
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->BeginStep(2));
  const auto bias = [&](int layer) {
    return std::vector<float>(worker_->bias(layer), worker_->bias(layer) + options.layers[layer].num_experts);
  };
  EXPECT_THAT(bias(0), ElementsAre(-0.5f, -0.5f, 0.5f, 0.5f));
  EXPECT_THAT(bias(1), Each(0.0f));
  EXPECT_EQ(bias(2)[0], -0.5f);
  EXPECT_EQ(bias(2)[3], 0.5f);
  EXPECT_EQ(bias(2)[4], 0.0f) << "is counted and never moved";
  EXPECT_EQ(bias(2)[5], 0.0f);
  EXPECT_THAT(bias(3), ElementsAre(-0.25f, -0.25f, 0.25f, 0.25f));
  EXPECT_THAT(worker_->summary(), HasSubstr("other settings for 3 of the layers"));
  ExpectOk(worker_->Leave());
}

TEST_F(WorkerCountingTest, ALayersSettingsAreCheckedAndNamed) {
  WorkerOptions options = Alone();
  options.layers[kRouted].balance = "rte: 1";
  auto worker = Worker::Join(options);
  ASSERT_FALSE(worker.ok());
  ExpectError(worker.status(), StatusCode::kInvalidArgument, "layer \"b.routed\": balance");
  options.layers[kRouted].balance = "target: [0.5, 0.5]";
  worker = Worker::Join(options);
  ASSERT_FALSE(worker.ok());
  ExpectError(worker.status(), StatusCode::kInvalidArgument, "layer \"b.routed\"");
}

// Routers of multi-token prediction stand beside those of the trunk, and layers need not be alike.
TEST_F(WorkerCountingTest, Pitfall14MtpAndRaggedLayersAreLayersAsAnyOther) {
  WorkerOptions options = Alone();
  options.layers = {{"model.layers.1.mlp.gate", 8, 2, R"({"score": "SIGMOID"})"},
                    {"model.layers.2.mlp.gate", 4, 1, R"({"score": "SIGMOID"})"},
                    {"model.mtp.0.mlp.gate", 6, 3, R"({"score": "SOFTMAX"})"}};
  Join(options);
  for (uint64_t step = 1; step <= 4; ++step) {
    ExpectOk(worker_->BeginStep(step));
    for (int layer = 0; layer < 3; ++layer) {
      const int experts = options.layers[layer].num_experts;
      std::vector<float> logits(kRows * experts);
      for (size_t i = 0; i < logits.size(); ++i) logits[i] = -static_cast<float>(i % experts);
      ExpectOk(worker_->Route(layer, {kRows, logits.data()}, {}));
    }
    ExpectOk(worker_->Commit(step));
  }
  ExpectOk(worker_->Leave());
  for (int layer = 0; layer < 3; ++layer) {
    EXPECT_LT(worker_->bias(layer)[0], 0) << layer;
    EXPECT_GT(worker_->bias(layer)[options.layers[layer].num_experts - 1], 0) << layer;
  }
}

// A layer is what its name says, whatever stands beside it: one that is left out shifts no other's counts, and is
// refused.
TEST_F(WorkerCountingTest, Pitfall41ALayerThatIsNotRegisteredIsRefusedAndShiftsNoOther) {
  WorkerOptions options = Options();
  Join(options);
  EXPECT_THAT(worker_->summary(), HasSubstr("a.counted, b.routed"));
  ExpectOk(worker_->BeginStep(1));
  const int32_t id = 0;
  ExpectError(worker_->Count(2, &id, 1), StatusCode::kInvalidArgument, "Count: layer is 2; 0 to 1 are allowed");
  ExpectError(worker_->Route(2, {}, {}), StatusCode::kInvalidArgument, "Route: layer is 2");
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
}

TEST_F(WorkerCountingTest, Pitfall33AStepWithoutTokensMovesNothing) {
  Join(Alone());
  Step(1, 1);
  ExpectOk(worker_->BeginStep(2));
  const std::vector<float> before = Bias();
  ExpectOk(worker_->Route(kRouted, {}, {}));
  const uint8_t none[kRows] = {};
  Route(1, -1, none);
  ExpectOk(worker_->Commit(2));
  ExpectOk(worker_->BeginStep(3));
  EXPECT_EQ(Bias(), before);
  EXPECT_EQ(worker_->report().tokens, 0);
  EXPECT_EQ(worker_->report().max_violation[kRouted], 0);
  ExpectOk(worker_->Leave());
}

// The trainer can neither cast nor rebind it: it is the library's, and stays where it is.
TEST_F(WorkerCountingTest, Pitfall38TheBiasIsFloat32AtOneAddress) {
  Join(Alone());
  const float* const address = worker_->bias(kRouted);
  static_assert(std::is_same_v<decltype(worker_->bias(0)), const float*>);
  for (uint64_t step = 1; step <= 5; ++step) {
    Step(step, step);
    EXPECT_EQ(worker_->bias(kRouted), address);
  }
  ExpectOk(worker_->Leave());
  EXPECT_EQ(worker_->bias(kRouted), address);
  EXPECT_NE(Bias(), std::vector<float>(kExperts)) << "and it moved there";
}

}  // namespace
}  // namespace evenkeel
