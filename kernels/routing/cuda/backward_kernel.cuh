#pragma once

#include <cstdint>

#include "kernels/routing/cuda/device_lanes.cuh"
#include "kernels/routing/warp/backward_plan.h"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace device {
#include "kernels/routing/warp/row_backward-inl.h"
}  // namespace device

// A lane's registers make a multiprocessor's room for warps: 48 of them, which every architecture has, where up to 4
// registers hold a row, and 32, 24, 20 and 16 where 8, 12, 16 and 32 do.
inline constexpr int kBackwardWarpsPerBlock = 4;
template <int R>
inline constexpr int kBackwardBlocksPerMultiprocessor = R <= 4    ? 12
                                                        : R <= 8  ? 8
                                                        : R <= 12 ? 6
                                                        : R <= 16 ? 5
                                                                  : 4;

// A warp a row; the warps of the grid walk over the rows. R is BackwardRegisters.
template <int R>
__global__ void __launch_bounds__(32 * kBackwardWarpsPerBlock, kBackwardBlocksPerMultiprocessor<R>)
    BackwardKernel(const __grid_constant__ BackwardPlan plan) {
  constexpr int kWarps = kBackwardWarpsPerBlock;
  device::TakeBackRows<R>(plan, static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32,
                          static_cast<int64_t>(gridDim.x) * kWarps);
}

}  // namespace evenkeel::routing
