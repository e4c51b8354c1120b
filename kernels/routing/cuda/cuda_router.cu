#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "kernels/routing/cuda/cuda_router.h"
#include "kernels/routing/cuda/route_kernel.cuh"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace {

absl::Status CheckShape(const RouteSpec& spec) {
  if (spec.num_experts > kMaxWarpExperts) {
    return absl::UnimplementedError(
        absl::StrCat("num_experts = ", spec.num_experts, ": the GPU routes at most ", kMaxWarpExperts));
  }
  if (spec.top_k > kMaxWarpSlots) {
    return absl::UnimplementedError(absl::StrCat("top_k = ", spec.top_k, ": the GPU takes at most ", kMaxWarpSlots));
  }
  return absl::OkStatus();
}

// The blocks for so many rows: no more than run at a time.
template <int R>
cudaError_t GridSize(int64_t rows, unsigned* blocks) {
  int device = 0;
  int multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  const int64_t resident = static_cast<int64_t>(multiprocessors) * kBlocksPerMultiprocessor<R>;
  *blocks = static_cast<unsigned>(std::min((rows + kWarpsPerBlock<R> - 1) / kWarpsPerBlock<R>, resident));
  return error;
}

template <int R>
cudaError_t Launch(RoutePlan plan, RouteStats* stats, CUstream_st* stream) {
  unsigned blocks = 0;
  const cudaError_t error = GridSize<R>(plan.input.rows, &blocks);
  if (error != cudaSuccess) return error;
  void* arguments[] = {&plan, &stats};
  return cudaLaunchKernel(RouteKernel<R>, dim3(blocks), dim3(32 * kWarpsPerBlock<R>), arguments, 0, stream);
}

cudaError_t LaunchFor(const RoutePlan& plan, RouteStats* stats, CUstream_st* stream) {
  switch (WarpRegisters(plan.spec.num_experts)) {
    case 4:
      return Launch<4>(plan, stats, stream);
    case 8:
      return Launch<8>(plan, stats, stream);
    case 12:
      return Launch<12>(plan, stats, stream);
    case 16:
      return Launch<16>(plan, stats, stream);
    default:
      return Launch<32>(plan, stats, stream);
  }
}

}  // namespace

absl::Status RouteCuda(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats,
                       CUstream_st* stream) {
  absl::Status status = ValidateRoute(spec, input, output);
  if (status.ok()) status.Update(CheckShape(spec));
  if (!status.ok() || input.rows == 0) return status;
  const cudaError_t error = LaunchFor(MakeRoutePlan(spec, input, output), stats, stream);
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot launch the routing kernel: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::routing
