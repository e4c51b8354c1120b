#pragma once

#include <vector>

#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"

// The list of all that this machine and this build have. RoutersUnderTest() is the reference, RouteCpu on each Highway
// target, and the row algorithm of the GPU on emulated lanes; BackwardsUnderTest() likewise. A new one joins in the
// .cc.
namespace evenkeel::routing {

// RouteCpu on each Highway target.
std::vector<RouterUnderTest> CpuRoutersUnderTest();

// RouteBackwardCpu, likewise.
std::vector<BackwardUnderTest> CpuBackwardsUnderTest();

}  // namespace evenkeel::routing
