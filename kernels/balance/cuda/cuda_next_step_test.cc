// EnqueueNextStep(): what it refuses, and, where there is a GPU, the reference's bits from a captured graph that is
// told nothing but the counts, the skips and the replays.

#include "kernels/balance/cuda/cuda_next_step.h"

#include "gtest/gtest.h"

#if EVENKEEL_HAVE_CUDA
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "kernels/balance/cuda/cuda_update.h"
#include "kernels/balance/cuda/device_job.h"
#include "kernels/balance/cuda/flat_job.h"
#include "kernels/balance/cuda/next_step_buffers.h"

namespace evenkeel::balance {
namespace {

// Not null, and never read: what is refused is not launched.
NextStep StepOfNothing() {
  static NextStepBuffers buffers(std::vector<BalanceConfig>(1));
  return buffers.Next(/*apply_skipped=*/false, Mode::kBalance);
}

void ExpectRefused(const NextStep& next, const std::string& field) {
  const absl::Status status = EnqueueNextStep(next, nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("NextStep." + field + " is "), std::string::npos) << status;
}

TEST(CudaNextStepTest, NamesWhatIsMissing) {
  NextStep next = StepOfNothing();
  next.num_layers = -1;
  ExpectRefused(next, "num_layers");
  const auto expect_needed = [](const std::string& field, auto NextStep::*address) {
    NextStep next = StepOfNothing();
    next.*address = nullptr;
    ExpectRefused(next, field);
  };
  expect_needed("skips", &NextStep::skips);
  expect_needed("replays", &NextStep::replays);
  expect_needed("tables", &NextStep::tables);
  expect_needed("place", &NextStep::place);
  expect_needed("step", &NextStep::step);
  expect_needed("rates", &NextStep::rates);
}

TEST(CudaNextStepTest, NoLayersAreNoWork) { EXPECT_TRUE(EnqueueNextStep(NextStep{}, nullptr).ok()); }

// What a NextStep points to, on the device.
class DeviceNextStep {
 public:
  explicit DeviceNextStep(const NextStepBuffers& host)
      : skips_({host.skips}),
        replays_({host.replays}),
        place_({host.place}),
        step_({host.step}),
        rates_(host.rates),
        tables_(Tables(host)) {}

  NextStep Next(bool apply_skipped, Mode mode) const {
    return {skips_.get(),  replays_.get(), apply_skipped, mode,        static_cast<int>(table_rates_.size()),
            tables_.get(), place_.get(),   step_.get(),   rates_.get()};
  }
  FlatUpdate Taking(FlatUpdate update) const {
    update.step = step_.get();
    update.rates = rates_.get();
    return update;
  }

  void Set(uint64_t skips, uint64_t replays) {
    skips_.CopyFrom(&skips);
    replays_.CopyFrom(&replays);
  }
  FlatPlace Place() const {
    FlatPlace place;
    place_.CopyTo(&place);
    return place;
  }

 private:
  std::vector<RateTable> Tables(const NextStepBuffers& host) {
    std::vector<RateTable> tables;
    for (const std::vector<float>& rates : host.table_rates) {
      tables.push_back({table_rates_.emplace_back(rates).get(), rates.size()});
    }
    return tables;
  }

  OnDevice<uint64_t> skips_;
  OnDevice<uint64_t> replays_;
  OnDevice<FlatPlace> place_;
  OnDevice<FlatStep> step_;
  OnDevice<float> rates_;
  std::vector<OnDevice<float>> table_rates_;  // of each layer
  OnDevice<RateTable> tables_;
};

// More layers than a block has threads, and steps past the end of every random schedule.
TEST(CudaNextStepTest, TheReferencesBitsFromAGraph) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) GTEST_SKIP() << "this machine has no GPU";
  for (int seed = 0; seed < 12; ++seed) {
    const bool apply_skipped = seed % 2 == 1;
    const Mode mode = seed == 4 ? Mode::kFrozen : seed == 6 ? Mode::kObserve : Mode::kBalance;
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FlatJob job(seed, std::vector<int>(seed < 2 ? 300 : 7, 33), apply_skipped);
    DeviceJob on_device(&job.buffers());
    DeviceNextStep next((NextStepBuffers(job.configs())));
    on_device.Capture([&](CUstream_st* stream) {
      const absl::Status status = EnqueueNextStep(next.Next(apply_skipped, mode), stream);
      return status.ok() ? EnqueueFlatUpdate(next.Taking(on_device.Update()), stream) : status;
    });
    uint64_t position = 0;
    for (uint64_t step = 1; step <= 48; ++step) {
      job.DrawStep(mode);
      next.Set(job.skips(), job.replays());
      on_device.RunStep();
      job.ExpectSame();
      if (job.skips() == 0) ++position;
      EXPECT_EQ(next.Place().step, step);
      EXPECT_EQ(next.Place().position, position);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace evenkeel::balance

#else
TEST(CudaNextStepTest, Skipped) { GTEST_SKIP() << "built without CUDA"; }
#endif
