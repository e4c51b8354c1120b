// EnqueueFlatUpdate(): what it refuses, and, where there is a GPU, the reference's bits from a captured graph.

#include "kernels/balance/cuda/cuda_update.h"

#include "gtest/gtest.h"

#if EVENKEEL_HAVE_CUDA
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "kernels/balance/cuda/device_job.h"
#include "kernels/balance/cuda/flat_job.h"

namespace evenkeel::balance {
namespace {

// Not null, and never read: what is refused is not launched.
FlatUpdate UpdateOfNothing() {
  static FlatBuffers buffers;
  buffers = FlatBuffers{};
  buffers.rates.resize(1);
  buffers.counts.resize(1);
  buffers.tokens.resize(1);
  buffers.bias.resize(1);
  buffers.ema.resize(1);
  buffers.pending.resize(1);
  buffers.scalars.resize(1);
  buffers.refused.resize(1);
  buffers.layers.resize(1);
  return buffers.Update();
}

void ExpectRefused(const FlatUpdate& update, const std::string& field) {
  const absl::Status status = EnqueueFlatUpdate(update, nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("FlatUpdate." + field + " is "), std::string::npos) << status;
}

TEST(CudaUpdateTest, NamesWhatIsMissing) {
  FlatUpdate update = UpdateOfNothing();
  update.num_layers = -1;
  ExpectRefused(update, "num_layers");
  const auto expect_needed = [](const std::string& field, auto FlatUpdate::*address) {
    FlatUpdate update = UpdateOfNothing();
    update.*address = nullptr;
    ExpectRefused(update, field);
  };
  expect_needed("layers", &FlatUpdate::layers);
  expect_needed("step", &FlatUpdate::step);
  expect_needed("rates", &FlatUpdate::rates);
  expect_needed("counts", &FlatUpdate::counts);
  expect_needed("tokens", &FlatUpdate::tokens);
  expect_needed("bias", &FlatUpdate::bias);
  expect_needed("ema", &FlatUpdate::ema);
  expect_needed("pending", &FlatUpdate::pending);
  expect_needed("scalars", &FlatUpdate::scalars);
  expect_needed("refused", &FlatUpdate::refused);
}

TEST(CudaUpdateTest, NoLayersAreNoWork) { EXPECT_TRUE(EnqueueFlatUpdate(FlatUpdate{}, nullptr).ok()); }

TEST(CudaUpdateTest, TheReferencesBitsFromAGraph) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) GTEST_SKIP() << "this machine has no GPU";
  for (int seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FlatJob job(seed, {7, 8, 1, 64, 256, 257, 60, 384, 1000, 1024, 2049, 33, 512});
    DeviceJob on_device(&job.buffers());
    on_device.Capture([&](CUstream_st* stream) { return EnqueueFlatUpdate(on_device.Update(), stream); });
    for (int step = 0; step < 16; ++step) {
      job.DrawStep();
      on_device.RunStep();
      job.ExpectSame();
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace evenkeel::balance

#else
TEST(CudaUpdateTest, Skipped) { GTEST_SKIP() << "built without CUDA"; }
#endif
