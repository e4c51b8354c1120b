// RouteCpu is on the step path: where it takes a SIMD path it must not allocate.

#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/allocation_count.h"
#include "kernels/routing/conformance/cpu_routers_under_test.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/cpu/cpu_router.h"

namespace evenkeel::routing {
namespace {

TEST(CpuRouterAllocationTest, NothingIsAllocatedOnASimdPath) {
  for (const RouterUnderTest& router : CpuRoutersUnderTest()) {
    const HighwayTargetScope scope(router.highway_target);
    for (const auto& [name, spec] : Families()) {
      std::mt19937 random(1);
      Problem problem;
      problem.spec = spec;
      const int64_t rows = RowKinds().size();
      problem.logits = RowsOfEveryKind(random, spec.num_experts, rows);
      std::vector<int32_t> ids(rows * spec.top_k);
      std::vector<float> weights(rows * spec.top_k);
      std::vector<float> probabilities(rows * spec.num_experts);
      std::vector<uint8_t> map(rows * spec.num_experts);
      std::vector<uint64_t> counts(spec.num_experts);
      RouteOutput output;
      output.ids = ids.data();
      output.weights = weights.data();
      output.dense_probabilities = probabilities.data();
      output.dense_map = map.data();
      output.counts = counts.data();
      output.ids_stride = output.weights_stride = spec.top_k;
      output.dense_probabilities_stride = output.dense_map_stride = spec.num_experts;
      RouteStats stats;

      const bool simd = CpuRoutePath(spec) != "reference";
      const int64_t before = AllocationCount();
      ASSERT_GT(before, 0);
      const bool routed = RouteCpu(spec, InputOf(problem), output, &stats).ok();
      const int64_t after = AllocationCount();
      EXPECT_TRUE(routed);
      EXPECT_EQ(after == before, simd) << router.name << ", " << name;  // the reference does: this test can fail
    }
  }
}

}  // namespace
}  // namespace evenkeel::routing
