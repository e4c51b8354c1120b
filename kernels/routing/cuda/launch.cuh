#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/grid_size.cuh"
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

}  // namespace evenkeel::routing
