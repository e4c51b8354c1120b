#include "kernels/routing/cpu/cpu_backward.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "kernels/routing/conformance/cpu_routers_under_test.h"
#include "kernels/routing/cpu/cpu_router.h"

// Which path RouteBackwardCpu takes; that it is the reference's bits is shown in conformance/.
namespace evenkeel::routing {
namespace {

TEST(CpuBackwardPathTest, IsTheTargetWhereItHasFmaAndTheShapeIsOrdinary) {
  RouteSpec spec;
  spec.num_experts = 1024;
  spec.top_k = 32;
  EXPECT_EQ(CpuBackwardPath(spec), CpuRoutePath(spec));
  spec.num_experts = 1025;
  EXPECT_EQ(CpuBackwardPath(spec), "reference");
  spec.num_experts = 1024;
  spec.top_k = 33;
  EXPECT_EQ(CpuBackwardPath(spec), "reference");
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const HighwayTargetScope scope(target);
    spec.top_k = 32;
    const bool has_fma = !(HWY_ARCH_X86 && target > HWY_AVX2);
    EXPECT_EQ(CpuBackwardPath(spec), has_fma ? hwy::TargetName(target) : "reference");
  }
}

}  // namespace
}  // namespace evenkeel::routing
