#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/router_testing.h"

// The routers that the tests of the contract run on. A test of the contract is a RouterTest, and so runs on all that
// the program was linked with: those of this machine by cpu_routers_under_test.cc, which every cc_test of this folder
// links, that of a GPU by //tests/gpu_check.
namespace evenkeel::routing {

struct RouterUnderTest {
  std::string name;  // "reference", "cpu_AVX2", "emulated_warp", "cuda"
  RouteFunction route;
  int64_t highway_target = 0;  // the target that Highway is held to while it routes; 0 leaves it the choice
  int tries_one_in = 1;        // random cases, where there are very many
  bool copies = false;         // `route` copies what it is given, gaps too: nothing for matrices of 2^31 elements
};
std::ostream& operator<<(std::ostream& out, const RouterUnderTest& router);

// By the list that is linked: the reference first.
std::vector<RouterUnderTest> RoutersUnderTest();

// Holds Highway to one target while it lives, in all threads; one at a time. Made and ended while no router runs. By
// the list that is linked, too: one without Highway knows the target 0 only.
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

  // How many of `thorough` random cases to try.
  int Cases(int thorough) const { return 1 + (thorough - 1) / GetParam().tries_one_in; }

  Routed RouteAndCheck(const Problem& problem) const { return routing::RouteAndCheck(GetParam().route, problem); }

  // One row by (logits, bias).
  Routed RouteRow(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<float>& bias = {}) const;

 private:
  const HighwayTargetScope target_{GetParam().highway_target};
};

// Names the instances of a RouterTest.
std::string RouterName(const testing::TestParamInfo<RouterUnderTest>& info);

}  // namespace evenkeel::routing
