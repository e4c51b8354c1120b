#include "kernels/routing/cuda/cuda_router.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/route.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

// What RouteCuda answers before a kernel runs; that it routes as the reference does is shown where there is a GPU.
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
absl::Status RouteRows(const RouteSpec& spec, int64_t rows) {
  static const std::vector<float> logits(1);
  RouteInput input;
  input.logits = logits.data();
  input.logits_stride = spec.num_experts;
  input.rows = rows;
  return RouteCuda(spec, input, RouteOutput(), nullptr, nullptr);
}

TEST(CudaRouterTest, RefusesByNameWhatItDoesNotRoute) {
  const absl::Status experts = RouteRows(Spec(1025, 8), 1);
  EXPECT_EQ(experts.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(experts.message()), StartsWith("num_experts = 1025"));
  const absl::Status slots = RouteRows(Spec(1024, 33), 1);
  EXPECT_EQ(slots.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(slots.message()), StartsWith("top_k = 33"));
}

TEST(CudaRouterTest, RefusesWhatTheContractRefuses) {
  EXPECT_EQ(RouteRows(Spec(8, 2), -1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RouteRows(Spec(8, 9), 1).code(), absl::StatusCode::kInvalidArgument);
}

TEST(CudaRouterTest, NoRowsNeedNoGpu) { EXPECT_TRUE(RouteRows(Spec(8, 2), 0).ok()); }

TEST(CudaRouterTest, SaysThatThereIsNoGpu) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) GTEST_SKIP() << "this machine has a GPU";
  const absl::Status status = RouteRows(Spec(8, 2), 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("CUDA"));
}
#else
TEST(CudaRouterTest, IsNotBuilt) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::routing
