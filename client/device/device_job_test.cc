// A job on a device has the bits of the reference model, step by step, however far the host runs ahead.

#include "client/device/device_job.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/device/test_runtime.h"
#include "config/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSteps = 60;
// As far apart as they lie in a StepCounts.
constexpr int kStride = 3;

// Layers "a", "b" and "c"; `balance` is text.
v1::JobSpec SpecOf(const std::string& balance) {
  v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
  *spec.add_layers() = job::TestLayer("c", 130, 2);
  const absl::Status parsed = config::ParseText(balance, "balance", spec.mutable_balance());
  EXPECT_TRUE(parsed.ok()) << parsed;
  return spec;
}

job::ReferenceModel::Options ModelOptions(uint64_t seed) {
  job::ReferenceModel::Options options = {seed, {{0, 1, 2}}, /*one_skip_in=*/7, /*scale=*/1};
  options.one_replay_in = 9;
  return options;
}

// The counts of all steps, in the memory of the device from the start; what the job makes of them, in pinned memory.
class Run {
 public:
  Run(TestRuntime* runtime, const job::JobPlan& plan, uint64_t seed)
      : runtime_(runtime),
        plan_(plan),
        model_(&plan, ModelOptions(seed)),
        experts_(plan.layers.total_experts()),
        size_(experts_ + kStride * plan.layers.size() + 2),
        counts_(DeviceBuffer<uint64_t>::OnDevice(runtime, size_ * kSteps).value()),
        biases_(DeviceBuffer<float>::Pinned(runtime, experts_ * kSteps).value()) {
    for (uint64_t step = 1; step <= kSteps; ++step) Write(step);
  }

  // With the host ahead by up to `ahead` steps.
  void Commit(DeviceJob* job, uint64_t ahead) {
    const DeviceStream stream = runtime_->CreateStream().value();
    for (uint64_t step = 1; step <= kSteps; ++step) {
      uint64_t* const counts = CountsOf(step);
      uint64_t* const skips = counts + size_ - 2;
      ASSERT_TRUE(job->EnqueueCommit(counts, counts + experts_, kStride, skips, skips + 1, stream).ok());
      float* const bias = biases_.data() + experts_ * (step - 1);
      ASSERT_TRUE(runtime_->Copy(bias, job->bias(), experts_ * sizeof(float), stream).ok());
      if (step % ahead == 0) runtime_->RunAll();
    }
    runtime_->RunAll();
    EXPECT_EQ(runtime_->CountOf(stream).kernels, 2 * kSteps);
  }

  void ExpectTheReference() const {
    const std::vector<job::JobState> trajectory = model_.Trajectory(kSteps);
    for (uint64_t step = 1; step <= kSteps; ++step) {
      const float* bias = biases_.data() + experts_ * (step - 1);
      for (const job::JobState::Layer& layer : trajectory[step].layers) {
        const std::vector<float>& expected = layer.balance.bias;
        ASSERT_EQ(std::memcmp(bias, expected.data(), expected.size() * sizeof(float)), 0) << "step " << step;
        bias += expected.size();
      }
    }
  }

 private:
  uint64_t* CountsOf(uint64_t step) { return counts_.data() + size_ * (step - 1); }

  void Write(uint64_t step) {
    const v1::PushRequest payload = model_.Payload(0, step);
    uint64_t* const counts = CountsOf(step);
    std::copy(payload.routed().low().begin(), payload.routed().low().end(), counts);
    for (int i = 0; i < plan_.layers.size(); ++i) counts[experts_ + kStride * i] = payload.valid_tokens(i);
    counts[size_ - 2] = payload.ok() ? 0 : 2;
    counts[size_ - 1] = payload.replayed() ? 3 : 0;
  }

  TestRuntime* const runtime_;
  const job::JobPlan& plan_;
  const job::ReferenceModel model_;
  const size_t experts_;
  const size_t size_;
  DeviceBuffer<uint64_t> counts_;
  DeviceBuffer<float> biases_;
};

void ExpectTrajectory(const v1::JobSpec& spec, uint64_t seed, bool threads = false) {
  const job::JobPlan plan = job::TestPlan(spec);
  TestRuntimeOptions options;
  options.seed = seed;
  options.threads = threads;
  TestRuntime runtime(options);
  absl::StatusOr<DeviceJob> made = DeviceJob::Make(plan, &runtime);
  ASSERT_TRUE(made.ok()) << made.status();
  DeviceJob job = *std::move(made);
  Run run(&runtime, plan, seed);
  run.Commit(&job, /*ahead=*/1 + seed % 20);
  run.ExpectTheReference();
}

TEST(DeviceJobTest, EveryPresetHasTheBitsOfTheReference) {
  for (const absl::string_view preset : balance::PresetNames()) {
    for (const auto policy : {v1::JobSpec::SkipPolicy::DROP, v1::JobSpec::SkipPolicy::APPLY}) {
      SCOPED_TRACE(absl::StrCat(preset, ", skip policy ", policy));
      v1::JobSpec spec = SpecOf(absl::StrCat("preset: ", preset));
      spec.set_skip_policy(policy);
      ExpectTrajectory(spec, /*seed=*/3);
    }
  }
}

TEST(DeviceJobTest, SchedulesGoByTheStepsThatWereTaken) {
  for (const char* const balance : {
           "{schedule: {kind: LINEAR, begin: 5, end: 40, final_ratio: 0.1}}",
           "{schedule: {kind: COSINE, begin: 1, end: 55, final_ratio: 0}}",
           "{schedule: {kind: STEPS, points: [{from_position: 3, ratio: 0.5}, {from_position: 30, ratio: 2}]}}",
           "{schedule: {kind: TO_ZERO, begin: 20}}",
           "{preset: loss_free, schedule: {kind: TO_ZERO, begin: 45}, warmup_steps: 9}",
           "{warmup_steps: 12}",
           "{min_tokens: 30}",
           "{preset: loss_free, min_tokens: 50, warmup_steps: 3}",
           "{frozen: true}",
           "{rate: 0}",
       }) {
    for (const auto policy : {v1::JobSpec::SkipPolicy::DROP, v1::JobSpec::SkipPolicy::APPLY}) {
      SCOPED_TRACE(absl::StrCat(balance, ", skip policy ", policy));
      v1::JobSpec spec = SpecOf(balance);
      spec.set_skip_policy(policy);
      ExpectTrajectory(spec, /*seed=*/4);
    }
  }
}

TEST(DeviceJobTest, LayersMayHaveTheirOwnConfigs) {
  v1::JobSpec spec = SpecOf("{preset: evenkeel}");
  v1::LayerOverride* const first = spec.add_overrides();
  first->set_layer("b");
  ASSERT_TRUE(
      config::ParseText("{preset: loss_free, target: [0.5, 0.25, 0.25]}", "first", first->mutable_balance()).ok());
  v1::LayerOverride* const second = spec.add_overrides();
  second->set_layer("c");
  ASSERT_TRUE(config::ParseText("{schedule: {kind: LINEAR, begin: 2, end: 30, final_ratio: 0}}", "second",
                                second->mutable_balance())
                  .ok());
  ExpectTrajectory(spec, /*seed=*/5);
}

TEST(DeviceJobTest, ModesThatDoNotMoveTheBias) {
  for (const auto mode : {v1::JobSpec::Mode::FROZEN, v1::JobSpec::Mode::OBSERVE}) {
    v1::JobSpec spec = SpecOf("{preset: evenkeel}");
    spec.set_mode(mode);
    ExpectTrajectory(spec, /*seed=*/6);
  }
}

TEST(DeviceJobTest, HoweverFarTheHostIsAhead) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    ExpectTrajectory(SpecOf("{preset: evenkeel}"), seed, /*threads=*/seed % 4 == 0);
  }
}

TEST(DeviceJobTest, WithoutMemoryIsAnError) {
  const job::JobPlan plan = job::TestPlan(SpecOf("{preset: evenkeel}"));
  size_t needed = 0;
  for (size_t memory = 0; needed == 0; memory += 100) {
    TestRuntimeOptions options;
    options.memory = memory;
    TestRuntime runtime(options);
    const absl::StatusOr<DeviceJob> job = DeviceJob::Make(plan, &runtime);
    if (job.ok()) {
      needed = memory;
    } else {
      EXPECT_EQ(job.status().code(), absl::StatusCode::kResourceExhausted) << job.status();
    }
  }
  EXPECT_GT(needed, 137 * 16) << "bias, EMA and pending counts, at least";
}

TEST(DeviceJobTest, AScheduleThatIsTooLongForATableIsAnError) {
  const job::JobPlan plan =
      job::TestPlan(SpecOf("{schedule: {kind: LINEAR, begin: 1, end: 1000000000000, final_ratio: 0}}"));
  TestRuntime runtime;
  const absl::Status status = DeviceJob::Make(plan, &runtime).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1000000000000"));
}

}  // namespace
}  // namespace evenkeel::client
