#pragma once

#include <cstdint>

#include "kernels/routing/cuda/device_lanes.cuh"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace device {
#include "kernels/routing/warp/row-inl.h"
}  // namespace device

// A lane's registers make a multiprocessor's room for warps: 32, 32, 24, 20 and 12 of them for 4, 8, 12, 16 and 32
// registers of a row. Great blocks have few histograms to add to the totals. What is not compiled for its plan needs
// more registers, and has room for fewer warps.
template <int R>
inline constexpr int kWarpsPerBlock = R <= 8 ? 8 : 4;
template <int R, RoutePath kPath>
inline constexpr int kBlocksPerMultiprocessor = (R <= 8    ? 4
                                                 : R <= 12 ? 6
                                                 : R <= 16 ? 5
                                                           : 4) -
                                                (kPath == RoutePath::kAny ? 1 : 0);

// A warp a row; the warps of the grid walk over the rows. A block counts in shared memory and adds what it has counted
// to the totals once. `step_bytes` is plan.row_bytes times the warps of the grid; `stats`, on the device, may be null.
template <int R, RoutePath kPath>
__global__ void __launch_bounds__(32 * kWarpsPerBlock<R>, kBlocksPerMultiprocessor<R, kPath>)
    RouteKernel(const __grid_constant__ RoutePlan given, const __grid_constant__ RowBytes step_bytes,
                RouteStats* stats) {
  const RoutePlan plan = Settled(kPath, R, given);
  constexpr int kWarps = kWarpsPerBlock<R>;
  __shared__ uint32_t scratch[kWarps][device::kScratchWords<R>];
  __shared__ uint32_t counts[32 * R];
  if (plan.counts) {
    for (int e = threadIdx.x; e < plan.spec.num_experts; e += 32 * kWarps) counts[e] = 0;
    __syncthreads();
  }

  const int warp = threadIdx.x / 32;
  device::AssignmentCounter counter = {device::warp::SharedAt(counts), 0, 0};
  device::RouteRows<R>(plan, static_cast<int64_t>(blockIdx.x) * kWarps + warp, static_cast<int64_t>(gridDim.x) * kWarps,
                       step_bytes, device::WarpScratch<R>{device::warp::SharedAt(scratch[warp])}, counter);

  if (stats != nullptr && threadIdx.x % 32 == 0) {
    using Total = unsigned long long;
    atomicAdd(reinterpret_cast<Total*>(&stats->valid_rows), static_cast<Total>(counter.valid_rows));
    atomicAdd(reinterpret_cast<Total*>(&stats->short_slots), static_cast<Total>(counter.short_slots));
  }
  if (!plan.counts) return;
  __syncthreads();
  for (int e = threadIdx.x; e < plan.spec.num_experts; e += 32 * kWarps) {
    using Total = unsigned long long;
    if (counts[e] != 0) atomicAdd(reinterpret_cast<Total*>(plan.output.counts + e), static_cast<Total>(counts[e]));
  }
}

}  // namespace evenkeel::routing
