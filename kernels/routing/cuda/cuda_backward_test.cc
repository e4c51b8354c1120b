#include "kernels/routing/cuda/cuda_backward.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/route_backward.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

// What RouteBackwardCuda answers before a kernel runs; that its gradients are the reference's is shown where there is a
// GPU.
namespace evenkeel::routing {
namespace {

#if EVENKEEL_HAVE_CUDA
using ::testing::HasSubstr;
using ::testing::StartsWith;

RouteSpec Spec(int num_experts, int top_k) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  return spec;
}

// No pointer is followed before the kernel runs.
absl::Status TakeBackRows(const RouteSpec& spec, int64_t rows) {
  static std::vector<float> memory(1);
  RouteBackwardInput input;
  input.logits = input.ids = input.d_weights = memory.data();
  input.logits_stride = spec.num_experts;
  input.ids_stride = input.d_weights_stride = spec.top_k;
  input.rows = rows;
  RouteBackwardOutput output;
  output.d_logits = memory.data();
  output.d_logits_stride = spec.num_experts;
  return RouteBackwardCuda(spec, input, output, nullptr);
}

TEST(CudaBackwardTest, RefusesByNameWhatItDoesNotTakeBack) {
  const absl::Status experts = TakeBackRows(Spec(1025, 8), 1);
  EXPECT_EQ(experts.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(experts.message()), StartsWith("num_experts = 1025"));
  const absl::Status slots = TakeBackRows(Spec(1024, 33), 1);
  EXPECT_EQ(slots.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(slots.message()), StartsWith("top_k = 33"));
}

TEST(CudaBackwardTest, RefusesWhatTheContractRefuses) {
  EXPECT_EQ(TakeBackRows(Spec(8, 2), -1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TakeBackRows(Spec(8, 9), 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TakeBackRows(Spec(0, 1), 0).code(), absl::StatusCode::kInvalidArgument);
}

TEST(CudaBackwardTest, NoRowsNeedNoGpu) { EXPECT_TRUE(TakeBackRows(Spec(8, 2), 0).ok()); }

TEST(CudaBackwardTest, SaysThatThereIsNoGpu) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) GTEST_SKIP() << "this machine has a GPU";
  RouteSpec softmax = Spec(8, 2);
  softmax.weight = Weight::kSoftmax;
  for (const RouteSpec& spec : {Spec(8, 2), softmax}) {
    const absl::Status status = TakeBackRows(spec, 1);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), HasSubstr("CUDA"));
  }
}
#else
TEST(CudaBackwardTest, IsNotBuilt) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::routing
