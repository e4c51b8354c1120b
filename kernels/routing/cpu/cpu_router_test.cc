#include "kernels/routing/cpu/cpu_router.h"

#include <random>
#include <utility>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "kernels/routing/conformance/cpu_routers_under_test.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/same_as_reference.h"

// What is of RouteCpu alone; the tests of conformance/ hold it against the reference on every Highway target.
namespace evenkeel::routing {
namespace {

using CpuRouterTest = RouterTest;

// What no SIMD path takes.
TEST_P(CpuRouterTest, GreatShapes) {
  std::mt19937 random(5);
  for (const auto& [num_experts, top_k] : {std::pair(1024, 33), std::pair(64, 64), std::pair(1025, 8),
                                           std::pair(4096, 1000), std::pair(kMaxExperts, 32)}) {
    Problem problem;
    problem.spec = RandomSpec(random, num_experts);
    problem.spec.top_k = top_k;
    problem.spec.num_groups = 0;
    problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
    SCOPED_TRACE(Describe(problem.spec));
    ExpectSameAsReference(GetParam().route, problem, Layout());
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CpuRouterTest, testing::ValuesIn(CpuRoutersUnderTest()), RouterName);

bool HasFma(int64_t target) {
#if HWY_ARCH_X86
  return target == HWY_AVX2 || target == HWY_AVX3 || target == HWY_AVX3_DL;
#else
  return HWY_ARCH_ARM_A64 && target == HWY_NEON;
#endif
}

TEST(CpuRoutePathTest, IsTheTargetWhereItHasFma) {
  for (const RouterUnderTest& router : CpuRoutersUnderTest()) {
    const HighwayTargetScope scope(router.highway_target);
    const char* expected = HasFma(router.highway_target) ? hwy::TargetName(router.highway_target) : "reference";
    for (const Family& family : Families()) EXPECT_EQ(CpuRoutePath(family.spec), expected) << family.name;
  }
}

TEST(CpuRoutePathTest, IsTheBestTargetOfTheMachine) {
  const int64_t best = CpuRoutersUnderTest().front().highway_target;
  EXPECT_EQ(CpuRoutePath(Families()[0].spec), HasFma(best) ? hwy::TargetName(best) : "reference");
}

TEST(CpuRoutePathTest, IsTheReferenceForShapesThatNoModelHas) {
  const auto path = [](int num_experts, int top_k) {
    RouteSpec spec;
    spec.num_experts = num_experts;
    spec.top_k = top_k;
    return CpuRoutePath(spec);
  };
  const absl::string_view best = path(256, 8);
  EXPECT_EQ(path(1, 1), best);
  EXPECT_EQ(path(1024, 32), best);
  EXPECT_EQ(path(32, 32), best);
  EXPECT_EQ(path(1024, 33), "reference");
  EXPECT_EQ(path(1025, 32), "reference");
  EXPECT_EQ(path(kMaxExperts, kMaxExperts), "reference");
}

}  // namespace
}  // namespace evenkeel::routing
