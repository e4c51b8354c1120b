#include <cstdint>

#include "absl/strings/str_cat.h"
#include "kernels/routing/cuda/backward_kernel.cuh"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/launch.cuh"
#include "kernels/routing/warp/backward_plan.h"

namespace evenkeel::routing {
namespace {

template <int R>
cudaError_t Launch(BackwardPlan plan, CUstream_st* stream) {
  constexpr int kWarps = kBackwardWarpsPerBlock;
  unsigned blocks = 0;
  const cudaError_t error = GridSize(plan.input.rows, kWarps, kBackwardBlocksPerMultiprocessor<R>, &blocks);
  if (error != cudaSuccess) return error;
  void* arguments[] = {&plan};
  return cudaLaunchKernel(BackwardKernel<R>, dim3(blocks), dim3(32 * kWarps), arguments, 0, stream);
}

cudaError_t LaunchFor(const BackwardPlan& plan, CUstream_st* stream) {
  switch (BackwardRegisters(plan)) {
    case 0:
      return Launch<0>(plan, stream);
    case 4:
      return Launch<4>(plan, stream);
    case 8:
      return Launch<8>(plan, stream);
    case 12:
      return Launch<12>(plan, stream);
    case 16:
      return Launch<16>(plan, stream);
    default:
      return Launch<32>(plan, stream);
  }
}

}  // namespace

absl::Status RouteBackwardCuda(const RouteSpec& spec, const RouteBackwardInput& input,
                               const RouteBackwardOutput& output, CUstream_st* stream) {
  absl::Status status = ValidateRouteBackward(spec, input, output);
  if (status.ok()) status.Update(CheckFitsWarp(spec));
  if (!status.ok() || input.rows == 0) return status;
  const cudaError_t error = LaunchFor(MakeBackwardPlan(spec, input, output), stream);
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot launch the kernel of the backward pass: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::routing
