#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route_backward.h"

namespace evenkeel::routing {

// The contract of route_backward.h in plain scalar code, for every valid spec: what the other backward passes are held
// against. Answers what ValidateRouteBackward answers.
//
// Thread safety: calls may run at the same time if they share no output. One workspace of O(E) is allocated per call,
// nothing per row.
absl::Status RouteBackwardReference(const RouteSpec& spec, const RouteBackwardInput& input,
                                    const RouteBackwardOutput& output);

}  // namespace evenkeel::routing
