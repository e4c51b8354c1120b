#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route_backward.h"

namespace evenkeel::routing {

// The contract of route_backward.h by the row algorithm of a GPU's warp (row_backward-inl.h), executed on emulated
// lanes: warps that walk over the rows as a kernel's do, one after the other. Where not FitsWarp it calls the
// reference. Answers what ValidateRouteBackward answers. For tests: right, and slow.
//
// Thread safety: calls may run at the same time if they share no output.
absl::Status RouteBackwardEmulated(const RouteSpec& spec, const RouteBackwardInput& input,
                                   const RouteBackwardOutput& output);

}  // namespace evenkeel::routing
