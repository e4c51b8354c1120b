#include <cstdint>

#include "absl/strings/str_cat.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/cuda/launch.cuh"
#include "kernels/routing/cuda/route_kernel.cuh"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace {

template <int R, RoutePath kPath>
cudaError_t Launch(RoutePlan plan, RouteStats* stats, CUstream_st* stream) {
  unsigned blocks = 0;
  const cudaError_t error = GridSize(plan.input.rows, kWarpsPerBlock<R>, kBlocksPerMultiprocessor<R, kPath>, &blocks);
  if (error != cudaSuccess) return error;
  RowBytes step_bytes = Times(int64_t{blocks} * kWarpsPerBlock<R>, plan.row_bytes);
  void* arguments[] = {&plan, &step_bytes, &stats};
  return cudaLaunchKernel(RouteKernel<R, kPath>, dim3(blocks), dim3(32 * kWarpsPerBlock<R>), arguments, 0, stream);
}

template <int R>
cudaError_t LaunchOnPath(const RoutePlan& plan, RouteStats* stats, CUstream_st* stream) {
  switch (PathOf(plan)) {
    case RoutePath::kSigmoid:
      return Launch<R, RoutePath::kSigmoid>(plan, stats, stream);
    case RoutePath::kGroupedSigmoid:
      if constexpr (GroupsFitRegisters(R)) return Launch<R, RoutePath::kGroupedSigmoid>(plan, stats, stream);
      break;
    case RoutePath::kChosenSoftmax:
      return Launch<R, RoutePath::kChosenSoftmax>(plan, stats, stream);
    case RoutePath::kAny:
      break;
  }
  return Launch<R, RoutePath::kAny>(plan, stats, stream);
}

cudaError_t LaunchFor(const RoutePlan& plan, RouteStats* stats, CUstream_st* stream) {
  switch (WarpRegisters(plan.spec.num_experts)) {
    case 4:
      return LaunchOnPath<4>(plan, stats, stream);
    case 8:
      return LaunchOnPath<8>(plan, stats, stream);
    case 12:
      return LaunchOnPath<12>(plan, stats, stream);
    case 16:
      return LaunchOnPath<16>(plan, stats, stream);
    default:
      return Launch<32, RoutePath::kAny>(plan, stats, stream);
  }
}

}  // namespace

absl::Status RouteCuda(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats,
                       CUstream_st* stream) {
  absl::Status status = ValidateRoute(spec, input, output);
  if (status.ok()) status.Update(CheckFitsWarp(spec));
  if (!status.ok() || input.rows == 0) return status;
  const cudaError_t error = LaunchFor(MakeRoutePlan(spec, input, output), stats, stream);
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot launch the routing kernel: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::routing
