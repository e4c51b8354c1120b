#include "evenkeel/worker.h"

#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/error_detail.h"
#include "client/link/scripted_coordinator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/reference/reference_router.h"

namespace evenkeel {
namespace {

using client::ScriptedCoordinator;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The caller's indices of the layers below. By name, 1 comes first.
constexpr int kRouted = 0;
constexpr int kCounted = 1;

class WorkerTest : public ::testing::Test {
 protected:
  WorkerOptions Options() const {
    WorkerOptions options;
    options.coordinator = coordinator_.address();
    options.job = "run";
    options.layers = {{"b.routed", 4, 2, R"({"score": "SIGMOID"})"}, {"a.counted", 3, 1, ""}};
    return options;
  }

  void Join(const WorkerOptions& options) {
    Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
    ASSERT_TRUE(worker.ok()) << worker.status().message();
    worker_ = std::move(*worker);
  }
  void Join() { Join(Options()); }

  void ExpectOk(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }
  void ExpectError(const Status& status, StatusCode code, const std::string& named) {
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(status.message(), HasSubstr(named));
  }

  // The bias of `layer` as an array.
  std::vector<float> Bias(int layer) const {
    const size_t size = layer == kRouted ? 4 : 3;
    return {worker_->bias(layer), worker_->bias(layer) + size};
  }

  ScriptedCoordinator coordinator_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, JoinsWithTheBiasOfTheNewestVersion) {
  Join();
  // The flat array is 0, 1/8, 2/8 for a.counted, then b.routed.
  EXPECT_THAT(Bias(kCounted), ElementsAre(0.0f, 0.125f, 0.25f));
  EXPECT_THAT(Bias(kRouted), ElementsAre(0.375f, 0.5f, 0.625f, 0.75f));
  EXPECT_THAT(worker_->summary(), HasSubstr("evenkeel: job run, rank 0 of 1; committed by the coordinator at"));
  EXPECT_EQ(worker_->report().epoch, 1);
  EXPECT_EQ(worker_->report().step, 0);
  EXPECT_EQ(worker_->bias(-1), nullptr);
  EXPECT_EQ(worker_->bias(2), nullptr);
  ASSERT_EQ(coordinator_.Joins().size(), 1);
  EXPECT_EQ(coordinator_.Joins()[0].next_step(), 1);
  EXPECT_NE(coordinator_.Joins()[0].incarnation(), 0);
}

TEST_F(WorkerTest, Pitfall01EveryStepBringsFloat32ToTheWorkersOwnAddress) {
  Join();
  const float* address = worker_->bias(kRouted);
  for (uint64_t step = 1; step <= 3; ++step) {
    ExpectOk(worker_->BeginStep(step));
    EXPECT_EQ(worker_->report().step, step - 1);
    EXPECT_EQ(*address, static_cast<float>(step - 1) + 0.375f);
    ExpectOk(worker_->Commit(step));
    EXPECT_EQ(worker_->report().step, step - 1) << "a commit does not wait";
  }
  ExpectOk(worker_->Leave());
  EXPECT_EQ(worker_->report().step, 3);
  EXPECT_EQ(worker_->report().bias_hash, coordinator_.VersionOf(1, 3).state_hash());
  // In the caller's order; the coordinator says step + place / 4.
  EXPECT_THAT(worker_->report().max_violation, ElementsAre(3.25f, 3.0f));
  EXPECT_EQ(worker_->bias(kRouted), address);
}

TEST_F(WorkerTest, WhatACommitPutsOnTheWire) {
  Join();
  ExpectOk(worker_->BeginStep(1));
  const std::vector<int32_t> ids = {2, 0, -1, 2};
  const std::vector<uint8_t> valid_mask = {1, 1, 1, 0};
  ExpectOk(worker_->Count(kCounted, ids.data(), 4, valid_mask.data()));
  const std::vector<uint64_t> counts = {3, 0, 1, (uint64_t{1} << 32)};
  ExpectOk(worker_->AddCounts(kRouted, counts.data(), (uint64_t{1} << 31) + 2));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->BeginStep(2));
  ExpectOk(worker_->Commit(2, /*ok=*/false));
  ExpectOk(worker_->Leave());

  v1::PushRequest expected;
  expected.set_job("run");
  expected.set_contributor(0);
  expected.set_incarnation(coordinator_.Joins()[0].incarnation());
  expected.set_epoch(1);
  expected.set_step(1);
  expected.set_ok(true);
  expected.mutable_routed_with()->set_epoch(1);
  expected.mutable_routed_with()->set_step(0);
  for (const uint64_t tokens : {uint64_t{3}, (uint64_t{1} << 31) + 2}) expected.add_valid_tokens(tokens);
  for (const uint64_t slots : {1, 0}) expected.add_short_slots(slots);
  for (const uint32_t low : {1, 0, 1, 3, 0, 1, 0}) expected.mutable_routed()->add_low(low);
  for (const uint32_t high : {0, 0, 0, 0, 0, 0, 1}) expected.mutable_routed()->add_high(high);
  const std::vector<v1::PushRequest> pushes = coordinator_.Pushes();
  ASSERT_EQ(pushes.size(), 2);
  ASSERT_EQ(pushes[0].rank_fingerprints_size(), 1);
  EXPECT_NE(pushes[0].rank_fingerprints(0), 0);
  expected.add_rank_fingerprints(pushes[0].rank_fingerprints(0));
  EXPECT_EQ(pushes[0].SerializeAsString(), expected.SerializeAsString());

  // A step in which nothing was counted and nothing was learnt.
  expected.set_step(2);
  expected.set_ok(false);
  expected.mutable_routed_with()->set_step(1);
  for (int i = 0; i < 2; ++i) expected.set_valid_tokens(i, 0);
  expected.clear_short_slots();
  expected.clear_rank_fingerprints();
  for (int i = 0; i < 7; ++i) expected.mutable_routed()->set_low(i, 0);
  expected.mutable_routed()->clear_high();
  EXPECT_EQ(pushes[1].SerializeAsString(), expected.SerializeAsString());
  EXPECT_FALSE(worker_->report().ok);
}

TEST_F(WorkerTest, StreamsAndWhatWasDispatchedGoOnTheWire) {
  WorkerOptions options = Options();
  options.layers[kRouted].streams = 2;
  options.layers[kRouted].counts_dispatched = true;
  Join(options);
  EXPECT_EQ(worker_->bias(kRouted, 1), worker_->bias(kRouted) + 4) << "one after the other";
  EXPECT_EQ(*worker_->bias(kRouted, 1), 7.0f / 8);
  EXPECT_EQ(worker_->bias(kRouted, 0), worker_->bias(kRouted));
  EXPECT_EQ(worker_->bias(kRouted, 2), nullptr);
  EXPECT_EQ(worker_->bias(kRouted, -1), nullptr);
  EXPECT_EQ(worker_->bias(kCounted, 1), nullptr);

  ExpectOk(worker_->BeginStep(1));
  const std::vector<int32_t> chosen = {0, 1, 0, 2};
  const std::vector<int32_t> left = {0, 1, -1, 2};
  Ids ids = {2, chosen.data()};
  ids.stream = 1;
  ExpectOk(worker_->Count(kRouted, ids));
  ids.ids = left.data();
  ExpectOk(worker_->CountDispatched(kRouted, ids));
  const std::vector<uint64_t> sums = {3, 0, 0, 1};
  ExpectOk(worker_->AddCounts(kRouted, sums.data(), 2));
  ExpectOk(worker_->AddDispatched(kRouted, Counts{sums.data()}));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  const v1::JobSpec job = coordinator_.Joins()[0].job();
  EXPECT_EQ(job.layers(1).streams(), 2);
  EXPECT_TRUE(job.layers(1).counts_dispatched());
  const v1::PushRequest push = coordinator_.Pushes().at(0);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(0, 2, 2));
  EXPECT_THAT(push.routed().low(), ElementsAre(0, 0, 0, 3, 0, 0, 1, 2, 1, 1, 0));
  EXPECT_THAT(push.dispatched().low(), ElementsAre(3, 0, 0, 1, 1, 1, 1, 0));
  // The script says step + row / 4; of the layer it is the larger.
  EXPECT_THAT(worker_->report().max_violation, ElementsAre(1.5f, 1.0f));
}

TEST_F(WorkerTest, StreamsThatALayerDoesNotHaveAreRefused) {
  WorkerOptions options = Options();
  options.layers[kRouted].streams = 2;
  Join(options);
  ExpectOk(worker_->BeginStep(1));
  const int32_t id = 0;
  const uint64_t counts[] = {1, 1, 0, 0};
  const float logits[] = {0, 1, 2, 3};
  for (const int stream : {-1, 2}) {
    const std::string named = "layer \"b.routed\": stream is " + std::to_string(stream) + "; 0 to 1 are allowed";
    Tokens tokens = {1, logits};
    tokens.stream = stream;
    ExpectError(worker_->Route(kRouted, tokens, {}), StatusCode::kInvalidArgument, named);
    Ids ids = {1, &id};
    ids.stream = stream;
    ExpectError(worker_->Count(kRouted, ids), StatusCode::kInvalidArgument, named);
    Counts sums = {counts, 1};
    sums.stream = stream;
    ExpectError(worker_->AddCounts(kRouted, sums), StatusCode::kInvalidArgument, named);
  }
  ExpectError(worker_->CountDispatched(kRouted, {1, &id}), StatusCode::kFailedPrecondition,
              "CountDispatched: layer \"b.routed\" was joined without counts_dispatched");
  ExpectError(worker_->AddDispatched(kRouted, Counts{counts}), StatusCode::kFailedPrecondition, "AddDispatched");
}

TEST_F(WorkerTest, RouteHasTheBitsOfTheReferenceWithTheCurrentBias) {
  Join();
  ExpectOk(worker_->BeginStep(1));
  constexpr int64_t kRows = 3;
  constexpr int64_t kStride = 6;
  std::vector<float> logits(kRows * kStride, std::numeric_limits<float>::quiet_NaN());
  const float values[kRows][4] = {{0.1f, -2.0f, 1.5f, 0.0f}, {3.0f, 3.0f, -3.0f, 0.5f}, {-1.0f, 0.7f, 0.2f, 0.9f}};
  for (int64_t row = 0; row < kRows; ++row) {
    std::copy(values[row], values[row] + 4, logits.begin() + row * kStride);
  }
  const std::vector<uint8_t> valid_mask = {1, 0, 1};
  Tokens tokens;
  tokens.rows = kRows;
  tokens.logits = logits.data();
  tokens.logits_stride = kStride;
  tokens.valid_mask = valid_mask.data();
  std::vector<int32_t> ids(kRows * 2);
  std::vector<float> weights(kRows * 2);
  ExpectOk(worker_->Route(kRouted, tokens, {ids.data(), weights.data()}));

  routing::RouteSpec spec;
  spec.num_experts = 4;
  spec.top_k = 2;
  spec.score = routing::Score::kSigmoid;
  routing::RouteInput input;
  input.logits = logits.data();
  input.rows = kRows;
  input.logits_stride = kStride;
  input.bias = worker_->bias(kRouted);
  input.valid_mask = valid_mask.data();
  std::vector<int32_t> expected_ids(kRows * 2);
  std::vector<float> expected_weights(kRows * 2);
  std::vector<uint64_t> expected_counts(4);
  routing::RouteOutput output;
  output.ids = expected_ids.data();
  output.ids_stride = 2;
  output.weights = expected_weights.data();
  output.weights_stride = 2;
  output.counts = expected_counts.data();
  ASSERT_TRUE(routing::RouteReference(spec, input, output, nullptr).ok());
  EXPECT_EQ(ids, expected_ids);
  EXPECT_EQ(weights, expected_weights);

  // Ids and weights are optional, counting is not; a second micro-batch adds to the first.
  ExpectOk(worker_->Route(kRouted, tokens, {}));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  const v1::PushRequest push = coordinator_.Pushes().at(0);
  EXPECT_EQ(push.valid_tokens(1), 4);
  for (int expert = 0; expert < 4; ++expert) {
    EXPECT_EQ(push.routed().low(3 + expert), 2 * expected_counts[expert]);
  }
}

TEST_F(WorkerTest, CountingTheIdsThatRouteGaveComesToTheSame) {
  WorkerOptions options = Options();
  options.layers = {{"counted", 8, 3, ""}, {"routed", 8, 3, R"({"score": "SIGMOID"})"}};
  Join(options);
  ExpectOk(worker_->BeginStep(1));
  for (int batch = 0; batch < 3; ++batch) {
    std::vector<float> logits(5 * 8);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 37 + batch * 11) % 17) / 8;
    // One row has too few experts.
    for (int expert = 0; expert < 6; ++expert) logits[8 + expert] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<uint8_t> valid_mask = {1, 1, 1, 0, 1};
    std::vector<int32_t> ids(5 * 3);
    ExpectOk(worker_->Route(1, {5, logits.data(), 0, valid_mask.data()}, {ids.data(), nullptr}));
    ExpectOk(worker_->Count(0, ids.data(), 5, valid_mask.data()));
  }
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  const v1::PushRequest push = coordinator_.Pushes().at(0);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(12, 12));
  EXPECT_THAT(push.short_slots(), ElementsAre(3, 3));
  for (int expert = 0; expert < 8; ++expert) {
    EXPECT_EQ(push.routed().low(expert), push.routed().low(8 + expert)) << expert;
  }
}

TEST_F(WorkerTest, StepsComeInOrder) {
  Join();
  const int32_t id = 0;
  ExpectError(worker_->BeginStep(2), StatusCode::kFailedPrecondition, "BeginStep(2): BeginStep(1) comes next");
  ExpectError(worker_->Commit(1), StatusCode::kFailedPrecondition, "Commit(1): BeginStep(1) comes next");
  ExpectError(worker_->Count(kCounted, &id, 1), StatusCode::kFailedPrecondition, "Count: BeginStep(1)");
  ExpectError(worker_->AddCounts(kCounted, nullptr, 0), StatusCode::kFailedPrecondition, "AddCounts: BeginStep(1)");
  ExpectError(worker_->Route(kRouted, {}, {}), StatusCode::kFailedPrecondition, "Route: BeginStep(1)");
  ExpectOk(worker_->BeginStep(1));
  ExpectError(worker_->BeginStep(1), StatusCode::kFailedPrecondition, "step 1 has begun");
  ExpectError(worker_->BeginStep(2), StatusCode::kFailedPrecondition, "step 1 has begun");
  ExpectError(worker_->Commit(2), StatusCode::kFailedPrecondition, "Commit(2): step 1 has begun");
  ExpectOk(worker_->Commit(1));
  ExpectError(worker_->Commit(1), StatusCode::kFailedPrecondition, "Commit(1): BeginStep(2) comes next");
  ExpectError(worker_->BeginStep(1), StatusCode::kFailedPrecondition, "BeginStep(1): BeginStep(2) comes next");
  ExpectOk(worker_->BeginStep(2));
  ExpectOk(worker_->Commit(2));
  ExpectOk(worker_->Leave());
  ExpectOk(worker_->Leave());
  ExpectError(worker_->BeginStep(3), StatusCode::kFailedPrecondition, "has left");
  EXPECT_EQ(coordinator_.Leaves().size(), 1);
}

TEST_F(WorkerTest, ResumesAtTheStepThatIsOpen) {
  ScriptedCoordinator later(/*committed_step=*/41);
  WorkerOptions options = Options();
  options.coordinator = later.address();
  options.next_step = 42;
  Join(options);
  ExpectError(worker_->BeginStep(1), StatusCode::kFailedPrecondition, "BeginStep(42)");
  ExpectOk(worker_->BeginStep(42));
  ExpectOk(worker_->Commit(42));
  ExpectOk(worker_->Leave());
  EXPECT_EQ(later.Joins().at(0).next_step(), 42);
  EXPECT_EQ(later.Pushes().at(0).routed_with().step(), 41);
}

TEST_F(WorkerTest, BadArgumentsAreNamedAndCountNothing) {
  Join();
  ExpectOk(worker_->BeginStep(1));
  const int32_t id = 3;
  ExpectError(worker_->Count(kCounted, &id, 1), StatusCode::kInvalidArgument,
              "layer \"a.counted\": ids: row 0 holds 3");
  ExpectError(worker_->Count(2, &id, 1), StatusCode::kInvalidArgument, "Count: layer is 2");
  ExpectError(worker_->Count(-1, &id, 1), StatusCode::kInvalidArgument, "Count: layer is -1");
  const std::vector<uint64_t> counts = {1, 1, 1};
  ExpectError(worker_->AddCounts(kCounted, counts.data(), 2), StatusCode::kInvalidArgument, "layer \"a.counted\"");
  ExpectError(worker_->Route(kCounted, {}, {}), StatusCode::kFailedPrecondition, "without a route");
  Tokens tokens;
  tokens.rows = -1;
  ExpectError(worker_->Route(kRouted, tokens, {}), StatusCode::kInvalidArgument, "layer \"b.routed\"");
  tokens.rows = 1;
  ExpectError(worker_->Route(kRouted, tokens, {}), StatusCode::kInvalidArgument, "logits");
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
  EXPECT_THAT(coordinator_.Pushes().at(0).routed().low(), Each(0));
  EXPECT_THAT(coordinator_.Pushes().at(0).valid_tokens(), Each(0));
}

TEST_F(WorkerTest, BeginStepIsBoundAndMayBeRepeated) {
  WorkerOptions options = Options();
  options.begin_step_timeout = milliseconds(20);
  Join(options);
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->Commit(1));
  coordinator_.AwaitPushes(1);
  ExpectError(worker_->BeginStep(2), StatusCode::kDeadlineExceeded, "step 1 is not committed yet");
  ExpectError(worker_->Leave(), StatusCode::kDeadlineExceeded, "step 1 is not committed yet");
  coordinator_.Stop();
  coordinator_.Start(/*epoch=*/2);

  Status status(StatusCode::kDeadlineExceeded, "");
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (status.code() == StatusCode::kDeadlineExceeded && std::chrono::steady_clock::now() < patience) {
    status = worker_->BeginStep(2);
  }
  ExpectOk(status);
  EXPECT_EQ(worker_->report().epoch, 2);
  EXPECT_EQ(worker_->report().step, 1);
}

TEST_F(WorkerTest, ARefusalIsHeardAtBeginStepAndStays) {
  Join();
  coordinator_.ScriptPush([](const v1::PushRequest&, v1::CommittedVersion*) {
    return ServiceError(absl::StatusCode::kAlreadyExists, v1::ErrorDetail::REPLACED, "a newer incarnation holds 0");
  });
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->Commit(1));
  ExpectError(worker_->BeginStep(2), StatusCode::kAlreadyExists, "a newer incarnation");
  ExpectError(worker_->BeginStep(2), StatusCode::kAlreadyExists, "a newer incarnation");
  ExpectError(worker_->Leave(), StatusCode::kAlreadyExists, "a newer incarnation");
  EXPECT_EQ(coordinator_.Pushes().size(), 1);
}

TEST_F(WorkerTest, ARefusedJoinGivesNoWorker) {
  WorkerOptions options = Options();
  options.layers[0].top_k = 9;
  Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
  ASSERT_FALSE(worker.ok());
  ExpectError(worker.status(), StatusCode::kInvalidArgument, "top_k is 9");
  EXPECT_TRUE(coordinator_.Joins().empty());

  coordinator_.ScriptJoin([](const v1::JoinRequest&, v1::JoinResponse*) {
    return ServiceError(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STEP_BEHIND, "step 8 is open");
  });
  worker = Worker::Join(Options());
  ASSERT_FALSE(worker.ok());
  ExpectError(worker.status(), StatusCode::kFailedPrecondition, "step 8 is open");

  coordinator_.Stop();
  options = Options();
  options.join_timeout = milliseconds(20);
  worker = Worker::Join(options);
  ASSERT_FALSE(worker.ok());
  ExpectError(worker.status(), StatusCode::kDeadlineExceeded, options.coordinator);
}

TEST_F(WorkerTest, BoundsOfAnyLengthAreBounds) {
  WorkerOptions options = Options();
  options.join_timeout = milliseconds::max();
  options.begin_step_timeout = milliseconds::max();
  Join(options);
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->Commit(1));
  ExpectOk(worker_->Leave());
}

TEST_F(WorkerTest, AWorkerThatGoesWithoutLeavingKeepsItsSlot) {
  Join();
  coordinator_.ScriptPush([this](const v1::PushRequest&, v1::CommittedVersion*) { return coordinator_.Park(); });
  ExpectOk(worker_->BeginStep(1));
  ExpectOk(worker_->Commit(1));
  coordinator_.AwaitPushes(1);
  worker_.reset();
  EXPECT_TRUE(coordinator_.Leaves().empty());
}

}  // namespace
}  // namespace evenkeel
