#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route.h"

namespace evenkeel::routing {

// The contract of route.h by the row algorithm of a GPU's warp (row-inl.h), executed on emulated lanes: blocks of warps
// that walk over the rows as a kernel's do, one after the other. Where not FitsWarp it calls the reference. Answers
// what ValidateRoute answers; `stats` may be null. For tests: right, and slow.
//
// Thread safety: calls may run at the same time if they share no output.
absl::Status RouteEmulated(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                           RouteStats* stats);

// The same, and adds to `exact_rows` the rows that were not chosen by approximate scores: those of a spec for which
// there are none, and those of which they leave too much open.
absl::Status RouteEmulatedAndCount(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                                   RouteStats* stats, int64_t* exact_rows);

}  // namespace evenkeel::routing
