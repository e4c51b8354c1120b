#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/routing/route_backward.h"

// The contract of route_backward.h with the SIMD instructions of the processor at hand, by Google Highway: the best
// target that this machine has is found at run time. The same bits as RouteBackwardReference on every target.
namespace evenkeel::routing {

// Answers what RouteBackwardReference answers. One thread, the caller's; nothing is allocated where the path is a SIMD
// one. Where the weights are no softmax over all experts, only the logits of the chosen ones are read.
//
// Thread safety: calls may run at the same time if they share no output.
absl::Status RouteBackwardCpu(const RouteSpec& spec, const RouteBackwardInput& input,
                              const RouteBackwardOutput& output);

// The path that RouteBackwardCpu takes for a valid spec on this machine, named as by CpuRoutePath.
absl::string_view CpuBackwardPath(const RouteSpec& spec);

}  // namespace evenkeel::routing
