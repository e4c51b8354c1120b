#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/routing/route_spec.h"
#include "kernels/routing/warp/route_plan.h"

// What the launchers of kernels share that take a row to a warp.
namespace evenkeel::routing {

inline absl::Status CheckFitsWarp(const RouteSpec& spec) {
  if (spec.num_experts > kMaxWarpExperts) {
    return absl::UnimplementedError(
        absl::StrCat("num_experts = ", spec.num_experts, ": the GPU routes at most ", kMaxWarpExperts));
  }
  if (spec.top_k > kMaxWarpSlots) {
    return absl::UnimplementedError(absl::StrCat("top_k = ", spec.top_k, ": the GPU takes at most ", kMaxWarpSlots));
  }
  return absl::OkStatus();
}

// The blocks for so many rows: no more than run at a time on the current device.
inline cudaError_t GridSize(int64_t rows, int warps_per_block, int blocks_per_multiprocessor, unsigned* blocks) {
  int device = 0;
  int multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  const int64_t resident = static_cast<int64_t>(multiprocessors) * blocks_per_multiprocessor;
  *blocks = static_cast<unsigned>(std::min((rows + warps_per_block - 1) / warps_per_block, resident));
  return error;
}

}  // namespace evenkeel::routing
