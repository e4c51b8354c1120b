#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"
#include "tests/gpu_check/device_router.h"
#include "tests/gpu_check/quick.h"

// What the tests of the contract run on in gpu_check.
namespace evenkeel::routing {

std::vector<RouterUnderTest> RoutersUnderTest() {
  RouterUnderTest cuda = {"cuda", gpu_check::RouteOnDevice};
  cuda.copies = true;
  cuda.tries_one_in = gpu_check::Quick() ? 16 : 1;
  return {{"reference", RouteReference}, cuda};
}

std::vector<BackwardUnderTest> BackwardsUnderTest() {
  BackwardUnderTest cuda = {"cuda", gpu_check::RouteBackwardOnDevice};
  cuda.copies = true;
  return {{"reference", RouteBackwardReference}, cuda};
}

// There is no Highway here, and nothing to hold.
HighwayTargetScope::HighwayTargetScope(int64_t) {}
HighwayTargetScope::~HighwayTargetScope() {}

}  // namespace evenkeel::routing
