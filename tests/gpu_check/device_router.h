#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_backward.h"

// RouteCuda and RouteBackwardCuda as the tests of the contract want a router: with the caller's memory on the host.
//
// Each matrix is copied to memory of its own on the device, exactly as long as from its first element to its last, gaps
// included, and as far from an aligned address as the caller's. All comes back: of what was to be read it is checked
// that nothing has been written. Shapes that the GPU does not route go to the reference, as its contract names them.
//
// Errors: what RouteCuda and RouteBackwardCuda answer; INTERNAL with CUDA's reason, or where an input has been written.
// Thread safety: calls may run at the same time if they share no output.
namespace evenkeel::gpu_check {

absl::Status RouteOnDevice(const routing::RouteSpec& spec, const routing::RouteInput& input,
                           const routing::RouteOutput& output, routing::RouteStats* stats);

absl::Status RouteBackwardOnDevice(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                                   const routing::RouteBackwardOutput& output);

}  // namespace evenkeel::gpu_check
