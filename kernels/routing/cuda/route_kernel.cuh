#pragma once

#include <cstdint>

#include "kernels/routing/cuda/device_lanes.cuh"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace device {
#include "kernels/routing/warp/row-inl.h"
}  // namespace device

// A lane's registers make a multiprocessor's room for warps: 32, 20, 16 and 12 of them for 8, 12, 16 and 32 registers
// of a row. Great blocks have few histograms to add to the totals.
template <int R>
inline constexpr int kWarpsPerBlock = R <= 8 ? 8 : 4;
template <int R>
inline constexpr int kBlocksPerMultiprocessor = R <= 8    ? 4
                                                : R <= 12 ? 5
                                                : R <= 16 ? 4
                                                          : 3;

// A warp a row; the warps of the grid walk over the rows. A block counts in shared memory and adds what it has counted
// to the totals once. `stats`, on the device, may be null.
template <int R>
__global__ void __launch_bounds__(32 * kWarpsPerBlock<R>, kBlocksPerMultiprocessor<R>)
    RouteKernel(const __grid_constant__ RoutePlan plan, RouteStats* stats) {
  constexpr int kWarps = kWarpsPerBlock<R>;
  __shared__ uint32_t scratch[kWarps][device::kScratchWords<R>];
  __shared__ uint32_t counts[32 * R];
  const bool counted = plan.output.counts != nullptr;
  if (counted) {
    for (int e = threadIdx.x; e < plan.spec.num_experts; e += 32 * kWarps) counts[e] = 0;
    __syncthreads();
  }

  const int warp = threadIdx.x / 32;
  device::AssignmentCounter counter = {counted, device::warp::SharedAt(counts), 0, 0};
  device::RouteRows<R>(plan, static_cast<int64_t>(blockIdx.x) * kWarps + warp, static_cast<int64_t>(gridDim.x) * kWarps,
                       device::WarpScratch<R>{device::warp::SharedAt(scratch[warp])}, counter);

  if (stats != nullptr && threadIdx.x % 32 == 0) {
    using Total = unsigned long long;
    atomicAdd(reinterpret_cast<Total*>(&stats->valid_rows), static_cast<Total>(counter.valid_rows));
    atomicAdd(reinterpret_cast<Total*>(&stats->short_slots), static_cast<Total>(counter.short_slots));
  }
  if (!counted) return;
  __syncthreads();
  for (int e = threadIdx.x; e < plan.spec.num_experts; e += 32 * kWarps) {
    using Total = unsigned long long;
    if (counts[e] != 0) atomicAdd(reinterpret_cast<Total*>(plan.output.counts + e), static_cast<Total>(counts[e]));
  }
}

}  // namespace evenkeel::routing
