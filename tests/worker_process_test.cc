// The client library, by its public headers alone, against a real evenkeeld.

#include <signal.h>

#include <algorithm>
#include <future>
#include <string>
#include <vector>

#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/evenkeeld_process.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

constexpr int kExperts = 4;

class WorkerProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    coordinator_.state_dir = NewFolder("state");
    StartCoordinator();
  }

  void StartCoordinator() {
    absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> process = EvenkeeldProcess::Start(coordinator_);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    coordinator_.listen = process_->address();
  }

  void KillAndRestart() {
    process_->Signal(SIGKILL);
    process_->Wait();
    StartCoordinator();
  }

  WorkerOptions OptionsOf(int contributor, int contributors) const {
    WorkerOptions options;
    options.coordinator = process_->address();
    options.job = "run";
    options.rank = contributor;
    options.world_size = contributors;
    options.layers = {{"model.layers.1.mlp", kExperts, 1, ""}, {"model.layers.0.mlp", kExperts, 1, ""}};
    options.balance = R"({"preset": "loss_free", "rate": 0.25})";
    return options;
  }

  static std::unique_ptr<Worker> MustJoin(const WorkerOptions& options) {
    Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
    EXPECT_TRUE(worker.status().ok()) << worker.status().message();
    return worker.ok() ? std::move(*worker) : nullptr;
  }

  // One step in which all tokens go to expert `favourite` of both layers.
  static void RunStep(Worker* worker, uint64_t step, int32_t favourite, bool ok = true) {
    ExpectOk(worker->BeginStep(step));
    const int32_t ids[] = {favourite, favourite};
    for (int layer = 0; layer < 2; ++layer) ExpectOk(worker->Count(layer, ids, 2));
    ExpectOk(worker->Commit(step, ok));
  }

  static void ExpectOk(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }

  static std::vector<float> BiasOf(const Worker& worker, int layer) {
    return {worker.bias(layer), worker.bias(layer) + kExperts};
  }

  EvenkeeldProcess::Options coordinator_;
  std::unique_ptr<EvenkeeldProcess> process_;
};

TEST_F(WorkerProcessTest, WorkersSumTheirCountsAndHoldTheSameBias) {
  const auto work = [this](int contributor) {
    const std::unique_ptr<Worker> worker = MustJoin(OptionsOf(contributor, 2));
    const float* address = worker->bias(0);
    // Contributor 0 counts expert 0, contributor 1 expert 1: together they are above the mean of 1, the others below.
    for (uint64_t step = 1; step <= 3; ++step) RunStep(worker.get(), step, contributor);
    ExpectOk(worker->BeginStep(4));
    EXPECT_EQ(worker->bias(0), address);
    EXPECT_EQ(BiasOf(*worker, 0), (std::vector<float>{-0.75f, -0.75f, 0.75f, 0.75f}));
    EXPECT_EQ(worker->report().step, 3);
    EXPECT_EQ(worker->report().tokens, 4);
    EXPECT_EQ(worker->report().max_violation, (std::vector<float>{1.0f, 1.0f}));
    return worker->report().bias_hash;
  };
  auto other = std::async(std::launch::async, work, 1);
  const uint64_t hash = work(0);
  EXPECT_EQ(other.get(), hash);
}

TEST_F(WorkerProcessTest, OneSkippedStepMovesNoBiasOnAnyWorker) {
  const auto work = [this](int contributor) {
    const std::unique_ptr<Worker> worker = MustJoin(OptionsOf(contributor, 2));
    RunStep(worker.get(), 1, 0, /*ok=*/contributor != 1);
    ExpectOk(worker->BeginStep(2));
    EXPECT_FALSE(worker->report().ok);
    EXPECT_EQ(BiasOf(*worker, 0), std::vector<float>(kExperts, 0.0f));
  };
  auto other = std::async(std::launch::async, work, 1);
  work(0);
  other.get();
}

TEST_F(WorkerProcessTest, ACoordinatorThatIsKilledCostsNothing) {
  const std::unique_ptr<Worker> worker = MustJoin(OptionsOf(0, 1));
  RunStep(worker.get(), 1, 0);
  ExpectOk(worker->BeginStep(2));
  KillAndRestart();
  const int32_t ids[] = {3};
  for (int layer = 0; layer < 2; ++layer) ExpectOk(worker->Count(layer, ids, 1));
  ExpectOk(worker->Commit(2));
  ExpectOk(worker->BeginStep(3));
  EXPECT_EQ(worker->report().epoch, 2);
  EXPECT_EQ(BiasOf(*worker, 1), (std::vector<float>{0.0f, 0.5f, 0.5f, 0.0f}));
}

TEST_F(WorkerProcessTest, WorkersThatDisagreeAreToldAboutWhat) {
  const std::unique_ptr<Worker> worker = MustJoin(OptionsOf(0, 2));
  WorkerOptions other = OptionsOf(1, 2);
  other.layers[1].num_experts = 8;
  const Result<std::unique_ptr<Worker>> refused = Worker::Join(other);
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(), HasSubstr("num_experts"));
}

TEST_F(WorkerProcessTest, ANewProcessReplacesTheOldWhichIsToldToStop) {
  const std::unique_ptr<Worker> old = MustJoin(OptionsOf(0, 1));
  const std::unique_ptr<Worker> replacement = MustJoin(OptionsOf(0, 1));
  RunStep(old.get(), 1, 0);
  EXPECT_EQ(old->BeginStep(2).code(), StatusCode::kAlreadyExists);
  RunStep(replacement.get(), 1, 0);
  ExpectOk(replacement->Leave());
}

TEST_F(WorkerProcessTest, AnEarlierStartIsRefusedWithTheStepOfTheJob) {
  {
    const std::unique_ptr<Worker> worker = MustJoin(OptionsOf(0, 1));
    RunStep(worker.get(), 1, 0);
    ExpectOk(worker->Leave());
  }
  const Result<std::unique_ptr<Worker>> again = Worker::Join(OptionsOf(0, 1));
  EXPECT_EQ(again.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(again.status().message(), HasSubstr("resume at step 2"));
}

TEST_F(WorkerProcessTest, NobodyThereIsSaidInTime) {
  WorkerOptions options = OptionsOf(0, 1);
  process_->Signal(SIGKILL);
  process_->Wait();
  options.join_timeout = std::chrono::milliseconds(200);
  const Result<std::unique_ptr<Worker>> nobody = Worker::Join(options);
  EXPECT_EQ(nobody.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(nobody.status().message(), HasSubstr(options.coordinator));
}

}  // namespace
}  // namespace evenkeel::tests
