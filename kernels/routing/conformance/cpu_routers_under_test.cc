#include "kernels/routing/conformance/cpu_routers_under_test.h"

#include "absl/strings/str_cat.h"
#include "hwy/targets.h"
#include "kernels/routing/cpu/cpu_backward.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"
#include "kernels/routing/warp/emulated_backward.h"
#include "kernels/routing/warp/emulated_router.h"

namespace evenkeel::routing {

std::vector<RouterUnderTest> RoutersUnderTest() {
  std::vector<RouterUnderTest> routers = CpuRoutersUnderTest();
  routers.insert(routers.begin(), RouterUnderTest{"reference", RouteReference});
  routers.push_back({"emulated_warp", RouteEmulated});
  return routers;
}

std::vector<RouterUnderTest> CpuRoutersUnderTest() {
  std::vector<RouterUnderTest> routers;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    routers.push_back({absl::StrCat("cpu_", hwy::TargetName(target)), RouteCpu, target});
    const HighwayTargetScope scope(target);
    if (CpuRoutePath(Families()[0].spec) == "reference") routers.back().tries_one_in = 16;
  }
  return routers;
}

std::vector<BackwardUnderTest> BackwardsUnderTest() {
  std::vector<BackwardUnderTest> passes = CpuBackwardsUnderTest();
  passes.insert(passes.begin(), BackwardUnderTest{"reference", RouteBackwardReference});
  passes.push_back({"emulated_warp", RouteBackwardEmulated});
  return passes;
}

std::vector<BackwardUnderTest> CpuBackwardsUnderTest() {
  std::vector<BackwardUnderTest> passes;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    passes.push_back({absl::StrCat("cpu_", hwy::TargetName(target)), RouteBackwardCpu, target});
  }
  return passes;
}

HighwayTargetScope::HighwayTargetScope(int64_t target) { hwy::SetSupportedTargetsForTest(target); }

HighwayTargetScope::~HighwayTargetScope() { hwy::SetSupportedTargetsForTest(0); }

}  // namespace evenkeel::routing
