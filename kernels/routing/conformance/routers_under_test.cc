#include "kernels/routing/conformance/routers_under_test.h"

#include "absl/strings/str_cat.h"
#include "hwy/targets.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_router.h"
#include "kernels/routing/warp/emulated_router.h"

namespace evenkeel::routing {

std::ostream& operator<<(std::ostream& out, const RouterUnderTest& router) { return out << router.name; }

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
  }
  return routers;
}

HighwayTargetScope::HighwayTargetScope(int64_t target) { hwy::SetSupportedTargetsForTest(target); }

HighwayTargetScope::~HighwayTargetScope() { hwy::SetSupportedTargetsForTest(0); }

Routed RouterTest::RouteRow(const RouteSpec& spec, const std::vector<float>& logits,
                            const std::vector<float>& bias) const {
  Problem problem;
  problem.spec = spec;
  problem.logits = logits;
  problem.bias = bias;
  return RouteAndCheck(problem);
}

std::string RouterName(const testing::TestParamInfo<RouterUnderTest>& info) { return info.param.name; }

}  // namespace evenkeel::routing
