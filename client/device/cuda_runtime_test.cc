// What MakeCudaRuntime says where there is nothing to be had; and, where there is a GPU, what it does.

#include "client/device/cuda_runtime.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

namespace evenkeel::client {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

TEST(CudaRuntimeTest, ADeviceThatIsNotThereIsASentence) {
  for (const int device : {-1, 9'999}) {
    const absl::Status status = MakeCudaRuntime(device).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("CUDA device ", device)));
    EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kUnimplemented, absl::StatusCode::kUnavailable,
                                     absl::StatusCode::kInvalidArgument))
        << status;
  }
}

TEST(CudaRuntimeTest, BuiltWithoutCudaItSaysSo) {
  const absl::Status status = MakeCudaRuntime(0).status();
  EXPECT_EQ(status.code() == absl::StatusCode::kUnimplemented, EVENKEEL_HAVE_CUDA == 0) << status;
}

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    auto runtime = MakeCudaRuntime(0);
    if (!runtime.ok()) GTEST_SKIP() << runtime.status();
    runtime_ = *std::move(runtime);
  }

  std::unique_ptr<DeviceRuntime> runtime_;
};

TEST_F(GpuTest, MemoryIsZeroAndStreamsCopyInOrder) {
  constexpr size_t kBytes = 1 << 20;
  void* const device = runtime_->Allocate(kBytes).value();
  auto* const host = static_cast<char*>(runtime_->AllocatePinned(2 * kBytes).value());
  const DeviceStream stream = runtime_->CreateStream().value();
  const DeviceEvent event = runtime_->CreateEvent().value();
  EXPECT_EQ(runtime_->Happened(event).value(), true);

  std::memset(host, 1, 2 * kBytes);
  EXPECT_TRUE(runtime_->Copy(host + kBytes, device, kBytes, stream).ok());
  EXPECT_TRUE(runtime_->Copy(device, host, kBytes, stream).ok());
  EXPECT_TRUE(runtime_->FillZero(device, kBytes / 2, stream).ok());
  EXPECT_TRUE(runtime_->Copy(host, device, kBytes, stream).ok());
  EXPECT_TRUE(runtime_->Record(event, stream).ok());
  while (!runtime_->Happened(event).value()) {
  }
  EXPECT_EQ(std::string(host + kBytes, kBytes), std::string(kBytes, 0));
  EXPECT_EQ(std::string(host, kBytes), std::string(kBytes / 2, 0) + std::string(kBytes / 2, 1));

  runtime_->DestroyEvent(event);
  runtime_->DestroyStream(stream);
  runtime_->FreePinned(host);
  runtime_->Free(device);
}

TEST_F(GpuTest, MemoryThatIsNotThereIsAnError) {
  EXPECT_EQ(runtime_->Allocate(size_t{1} << 60).status().code(), absl::StatusCode::kResourceExhausted);
  // And nothing that a later call meets.
  const DeviceEvent event = runtime_->CreateEvent().value();
  EXPECT_TRUE(runtime_->Happened(event).ok());
  runtime_->DestroyEvent(event);
}

#if EVENKEEL_HAVE_CUDA
// A trainer captures, and forbids to all threads what could wait: to allocate and to ask is safe all the same, and is
// no part of the graph.
TEST_F(GpuTest, DoesNotDisturbAGraphThatIsCaptured) {
  const DeviceStream own = runtime_->CreateStream().value();
  const DeviceStream captured = runtime_->CreateStream().value();
  void* const before = runtime_->Allocate(100).value();
  ASSERT_EQ(cudaStreamBeginCapture(captured, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_TRUE(runtime_->FillZero(before, 100, captured).ok());
  void* const memory = runtime_->Allocate(100).value();
  void* const pinned = runtime_->AllocatePinned(100).value();
  const DeviceEvent event = runtime_->CreateEvent().value();
  EXPECT_TRUE(runtime_->Copy(pinned, memory, 100, own).ok());
  EXPECT_TRUE(runtime_->Record(event, own).ok());
  while (!runtime_->Happened(event).value()) {
  }
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(captured, &graph), cudaSuccess);
  size_t nodes = 0;
  EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
  EXPECT_EQ(nodes, 1);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  runtime_->DestroyEvent(event);
  runtime_->FreePinned(pinned);
  runtime_->Free(memory);
  runtime_->Free(before);
  runtime_->DestroyStream(captured);
  runtime_->DestroyStream(own);
}
#endif

TEST_F(GpuTest, TellsOfTheDevice) {
  EXPECT_FALSE(runtime_->info().name.empty());
  EXPECT_GE(runtime_->info().compute_capability, 70);
  EXPECT_GT(runtime_->info().memory, size_t{1} << 30);
}

}  // namespace
}  // namespace evenkeel::client
