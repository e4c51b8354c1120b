#include "kernels/routing/conformance/routers_under_test.h"

namespace evenkeel::routing {

std::ostream& operator<<(std::ostream& out, const RouterUnderTest& router) { return out << router.name; }

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
