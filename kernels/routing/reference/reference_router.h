#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route.h"

namespace evenkeel::routing {

// The contract of route.h in plain scalar code, for every valid spec: what the other routers are held against.
// Answers what ValidateRoute answers. `stats` may be null.
//
// Thread safety: calls may run at the same time if they share no output (counts and stats are outputs). One
// workspace of O(E) is allocated per call, nothing per row.
absl::Status RouteReference(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                            RouteStats* stats);

}  // namespace evenkeel::routing
