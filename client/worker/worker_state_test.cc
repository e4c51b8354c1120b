// A job without a coordinator that goes on from the state of a checkpoint.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/snapshot.h"

namespace evenkeel {
namespace {

using ::testing::HasSubstr;

constexpr int kExperts = 4;

WorkerOptions Options(int lag) {
  WorkerOptions options;
  options.coordinator = "";
  options.job = "run";
  options.lag = lag;
  options.layers = {{"gate", kExperts, 1, ""}};
  return options;
}

std::unique_ptr<Worker> Join(const WorkerOptions& options) {
  Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
  EXPECT_TRUE(worker.ok()) << worker.status().message();
  return worker.ok() ? std::move(*worker) : nullptr;
}

// Counts that follow from the step; gives the bias that routes it.
std::vector<float> Step(uint64_t step, Worker* worker) {
  EXPECT_TRUE(worker->BeginStep(step).ok());
  const std::vector<float> bias(worker->bias(0), worker->bias(0) + kExperts);
  const uint64_t counts[kExperts] = {step, 3 * step % 7, 5, step * step % 5};
  EXPECT_TRUE(worker->AddCounts(0, counts, counts[0] + counts[1] + counts[2] + counts[3]).ok());
  EXPECT_TRUE(worker->Commit(step).ok());
  return bias;
}

TEST(WorkerStateTest, GoesOnBitForBit) {
  for (const int lag : {0, 1}) {
    const std::unique_ptr<Worker> whole = Join(Options(lag));
    std::vector<std::vector<float>> biases(1);
    std::vector<std::string> states(1);
    for (uint64_t step = 1; step <= 12; ++step) {
      biases.push_back(Step(step, whole.get()));
      Result<std::string> state = whole->SaveState();
      ASSERT_TRUE(state.ok()) << state.status().message();
      states.push_back(*state);
    }
    for (uint64_t saved = 1; saved < 12; ++saved) {
      WorkerOptions options = Options(lag);
      options.next_step = saved + 1;
      options.state = states[saved];
      const std::unique_ptr<Worker> resumed = Join(options);
      ASSERT_NE(resumed, nullptr);
      EXPECT_EQ(*resumed->SaveState(), states[saved]) << "before it has done anything";
      for (uint64_t step = saved + 1; step <= 12; ++step) {
        ASSERT_EQ(Step(step, resumed.get()), biases[step])
            << "lag " << lag << ", saved after " << saved << ", " << step;
      }
      EXPECT_TRUE(resumed->Leave().ok());
      EXPECT_EQ(*resumed->SaveState(), states[12]);
    }
  }
}

TEST(WorkerStateTest, SavesBetweenStepsOnly) {
  const std::unique_ptr<Worker> worker = Join(Options(0));
  ASSERT_TRUE(worker->BeginStep(1).ok());
  Result<std::string> state = worker->SaveState();
  EXPECT_EQ(state.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(state.status().message(), HasSubstr("SaveState: step 1 has begun and is not committed"));
}

TEST(WorkerStateTest, AStateThatDoesNotFitIsRefused) {
  const std::unique_ptr<Worker> worker = Join(Options(0));
  Step(1, worker.get());
  const std::string state = *worker->SaveState();
  const auto refusal = [](const WorkerOptions& options) {
    Result<std::unique_ptr<Worker>> joined = Worker::Join(options);
    EXPECT_EQ(joined.status().code(), StatusCode::kInvalidArgument);
    return joined.status().message();
  };
  WorkerOptions options = Options(0);
  options.next_step = 3;
  options.state = state;
  EXPECT_THAT(refusal(options), HasSubstr("state is that after step 1; next_step is 3, and must be 2"));
  options.next_step = 2;
  options.layers[0].num_experts = 8;
  EXPECT_THAT(refusal(options), HasSubstr("layer \"gate\" has num_experts 8 in the job and 4 in the state"));
  options = Options(0);
  options.state = state.substr(1);
  EXPECT_THAT(refusal(options), HasSubstr("state: "));
  options = Options(0);
  options.resume = Resume::kCatchUp;
  EXPECT_THAT(refusal(options), HasSubstr("resume is CATCH_UP, which needs a coordinator"));
  options = Options(0);
  options.next_step = 2;
  options.coordinator = "127.0.0.1:1";
  options.state = state;
  EXPECT_THAT(refusal(options), HasSubstr("state is given, and resume is not REWIND"));
}

TEST(WorkerStateTest, Pitfall11ABiasThatWasNotSavedShowsInTheSummary) {
  const std::unique_ptr<Worker> worker = Join(Options(0));
  Step(1, worker.get());
  job::SnapshotStates states = *job::DecodeSnapshot(*worker->SaveState());
  for (float& value : *states.state.mutable_layers(0)->mutable_bias()) value = 0;
  WorkerOptions options = Options(0);
  options.next_step = 2;
  options.state = job::EncodeSnapshot(states.state);
  const std::unique_ptr<Worker> resumed = Join(options);
  ASSERT_NE(resumed, nullptr);
  EXPECT_THAT(resumed->summary(), HasSubstr("WARNING: the state of the checkpoint: layer \"gate\": the bias is 0"));
}

}  // namespace
}  // namespace evenkeel
