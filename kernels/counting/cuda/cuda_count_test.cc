#include "kernels/counting/cuda/cuda_count.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/counting/count_problem.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

// What is answered before a kernel runs; that it counts as the reference does is shown where there is a GPU.
namespace evenkeel::counting {
namespace {

#if EVENKEEL_HAVE_CUDA
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Whose pointers are not followed before the kernel runs.
class CudaCountTest : public testing::Test {
 protected:
  CudaCountTest() {
    ids_.num_experts = counts_.num_experts = 8;
    ids_.top_k = counts_.top_k = 2;
    ids_.ids = counted_.counts.data();
    ids_.rows = 1;
    ids_.ids_stride = 2;
    counts_.counts = counted_.counts.data();
  }

  absl::Status CountIds() { return EnqueueCountIds(ids_, counted_.Output(), nullptr); }
  absl::Status AddCounts() { return EnqueueAddCounts(counts_, counted_.Output(), nullptr); }

  Counted counted_ = Counted(8);
  IdsInput ids_;
  CountsInput counts_;
};

TEST_F(CudaCountTest, RefusesWhatTheContractRefuses) {
  ids_.rows = -1;
  EXPECT_THAT(std::string(CountIds().message()), StartsWith("rows = -1"));
  counts_.top_k = 9;
  EXPECT_THAT(std::string(AddCounts().message()), StartsWith("top_k = 9"));
}

TEST_F(CudaCountTest, NoRowsNeedNoGpu) {
  ids_.rows = 0;
  EXPECT_TRUE(CountIds().ok());
}

TEST_F(CudaCountTest, SaysThatThereIsNoGpu) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) GTEST_SKIP() << "this machine has a GPU";
  for (const absl::Status& status : {CountIds(), AddCounts()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), HasSubstr("CUDA"));
  }
}
#else
TEST(CudaCountTest, IsNotBuilt) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::counting
