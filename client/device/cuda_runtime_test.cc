// What MakeCudaRuntime says where there is nothing to be had; and, where there is a GPU, what it does.

#include "client/device/cuda_runtime.h"

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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
  EXPECT_TRUE(runtime_->CreateEvent().ok());
}

TEST_F(GpuTest, TellsOfTheDevice) {
  EXPECT_FALSE(runtime_->info().name.empty());
  EXPECT_GE(runtime_->info().compute_capability, 70);
  EXPECT_GT(runtime_->info().memory, size_t{1} << 30);
}

}  // namespace
}  // namespace evenkeel::client
