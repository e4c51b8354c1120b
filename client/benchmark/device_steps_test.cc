// On a runtime without a device, whose times mean nothing and whose calls are counted: what lies between the marks.

#include "client/benchmark/device_steps.h"

#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "client/device/test_runtime.h"
#include "client/reduce/fake_nccl_path.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::step_benchmark {
namespace {

using client::Enqueued;
using client::TestRuntime;
using ::testing::Each;
using ::testing::SizeIs;

// Of the worker that joined last.
TestRuntime* g_runtime = nullptr;

absl::StatusOr<std::unique_ptr<client::DeviceRuntime>> MakeTestRuntime(int) {
  auto runtime = std::make_unique<TestRuntime>();
  g_runtime = runtime.get();
  return runtime;
}

// Its "microseconds" are what was enqueued in between: a digit each.
class CountingClock final : public DeviceClock {
 public:
  static double Digits(int kernels, int copies, int fills, int records, int waits, int collectives) {
    return kernels + 1e2 * copies + 1e4 * fills + 1e6 * records + 1e8 * waits + 1e10 * collectives;
  }

  absl::StatusOr<int> Mark(client::DeviceStream stream) override {
    marks_.push_back(g_runtime->CountOf(stream));
    return static_cast<int>(marks_.size()) - 1;
  }

  absl::StatusOr<double> Microseconds(int from, int to) override {
    const Enqueued& a = marks_[from];
    const Enqueued& b = marks_[to];
    return Digits(b.kernels - a.kernels, b.copies - a.copies, b.fills - a.fills, b.records - a.records,
                  b.waits - a.waits, b.collectives - a.collectives);
  }

 private:
  std::vector<Enqueued> marks_;
};

class DeviceStepsTest : public testing::Test {
 protected:
  static StepCase SmallCase() {
    StepCase small;
    small.layers = 3;
    small.experts = 8;
    small.top_k = 2;
    small.tokens = 48;
    small.steps = 5;
    small.warm_up = 2;
    return small;
  }

  void SetUp() override {
    WorkerOptions options = OptionsOf(case_);
    options.device = 0;
    auto worker = client::Worker::Join(options, MakeTestRuntime);
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
  }

  DeviceSamples Measure(client::DeviceReducer* reducer) {
    CountingClock clock;
    auto samples = MeasureDeviceSteps(case_, /*work_bytes=*/1000, worker_.get(), g_runtime, reducer, &clock);
    EXPECT_TRUE(samples.ok()) << samples.status();
    return samples.ok() ? *std::move(samples) : DeviceSamples();
  }

  const StepCase case_ = SmallCase();
  std::unique_ptr<client::Worker> worker_;
};

TEST_F(DeviceStepsTest, BetweenTheMarksIsTheWorkerAlone) {
  const DeviceSamples samples = Measure(nullptr);
  EXPECT_THAT(samples.marks, SizeIs(5));
  EXPECT_THAT(samples.marks, Each(0));
  // device_workspace.h: wait(staged), copy bias, wait(cleared); then record(counted).
  EXPECT_THAT(samples.begin_step, Each(CountingClock::Digits(0, 1, 0, 0, 2, 0)));
  EXPECT_THAT(samples.commit, Each(CountingClock::Digits(2, 0, 0, 1, 0, 0)));
  // Of each layer a copy for the reduction, one to the host, and what the host waits for.
  EXPECT_THAT(samples.loop, Each(CountingClock::Digits(0, 6, 0, 3, 0, 0)));
  for (const auto* host : {&samples.host_begin_step, &samples.host_commit, &samples.host_loop}) {
    EXPECT_THAT(*host, SizeIs(5));
  }
  EXPECT_EQ(samples.Step(), CountingClock::Digits(2, 1, 0, 1, 2, 0));
  EXPECT_EQ(worker_->report().step, 7);
  EXPECT_EQ(worker_->report().tokens, 48);
}

TEST_F(DeviceStepsTest, TheLoopReducesByNcclWhereThereIsOne) {
  setenv("EVENKEEL_NCCL_LIBRARY", client::kFakeNcclPath, 1);
  const auto library = client::OpenNccl();
  ASSERT_TRUE(library.ok()) << library.status();
  auto reducer = client::MakeNcclReducer(client::NcclOptions(), **library, g_runtime, /*rendezvous=*/nullptr);
  ASSERT_TRUE(reducer.ok()) << reducer.status();
  const DeviceSamples samples = Measure(reducer->get());
  EXPECT_THAT(samples.loop, Each(CountingClock::Digits(0, 3, 0, 3, 0, 3)));
  EXPECT_THAT(samples.commit, Each(CountingClock::Digits(2, 0, 0, 1, 0, 0)));
}

TEST(StepCaseTest, CountsAddUpAndAreUneven) {
  for (const int experts : {8, 9, 256}) {
    StepCase step_case;
    step_case.experts = experts;
    const std::vector<uint64_t> counts = CountsOf(step_case);
    ASSERT_EQ(counts.size(), experts);
    uint64_t sum = 0;
    for (const uint64_t count : counts) sum += count;
    EXPECT_EQ(sum, step_case.tokens * step_case.top_k);
    EXPECT_GT(counts.front(), counts[experts - 2]);
  }
}

}  // namespace
}  // namespace evenkeel::step_benchmark
