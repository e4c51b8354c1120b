#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/router_testing.h"

// Every router of this library, on every instruction set that this machine and this build have. A test of the contract
// is a RouterTest, and so runs on all of them; a new router joins the list in routers_under_test.cc.
namespace evenkeel::routing {

struct RouterUnderTest {
  std::string name;  // "reference", "cpu_AVX2", "emulated_warp"
  RouteFunction route;
  int64_t highway_target = 0;  // the target that Highway is held to while it routes; 0 leaves it the choice
};
std::ostream& operator<<(std::ostream& out, const RouterUnderTest& router);

// The reference first, then those of RouteCpu, then the row algorithm of the GPU on emulated lanes.
std::vector<RouterUnderTest> RoutersUnderTest();

// RouteCpu on each Highway target.
std::vector<RouterUnderTest> CpuRoutersUnderTest();

// Holds Highway to one target while it lives, in all threads; one at a time. Made and ended while no router runs.
class HighwayTargetScope {
 public:
  explicit HighwayTargetScope(int64_t target);
  ~HighwayTargetScope();
  HighwayTargetScope(const HighwayTargetScope&) = delete;
  HighwayTargetScope& operator=(const HighwayTargetScope&) = delete;
};

// A test that runs once for each router it is instantiated with.
class RouterTest : public testing::TestWithParam<RouterUnderTest> {
 protected:
  absl::Status Route(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                     RouteStats* stats) const {
    return GetParam().route(spec, input, output, stats);
  }

  Routed RouteAndCheck(const Problem& problem) const { return routing::RouteAndCheck(GetParam().route, problem); }

  // One row by (logits, bias).
  Routed RouteRow(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<float>& bias = {}) const;

 private:
  const HighwayTargetScope target_{GetParam().highway_target};
};

// Names the instances of a RouterTest.
std::string RouterName(const testing::TestParamInfo<RouterUnderTest>& info);

}  // namespace evenkeel::routing
