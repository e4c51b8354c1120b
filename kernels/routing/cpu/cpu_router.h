#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/routing/route.h"

// The contract of route.h with the SIMD instructions of the processor at hand, by Google Highway: the best target that
// this machine has is found at run time. The same bits as RouteReference on every target.
namespace evenkeel::routing {

// Answers what RouteReference answers. `stats` may be null. One thread, the caller's; nothing is allocated where the
// path is a SIMD one.
//
// Thread safety: calls may run at the same time if they share no output (counts and stats are outputs).
absl::Status RouteCpu(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats);

// The path that RouteCpu takes for a valid spec on this machine: "reference", or a Highway target, such as "AVX3" or
// "AVX2". It is "reference" where the target has no fused multiply-add, and for shapes that no model has: more than
// 1,024 experts, more than 32 slots.
absl::string_view CpuRoutePath(const RouteSpec& spec);

}  // namespace evenkeel::routing
