// RouteBackwardCpu is on the hot path: it must not allocate.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/allocation_count.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/cpu/cpu_backward.h"

namespace evenkeel::routing {
namespace {

TEST(CpuBackwardAllocationTest, NothingIsAllocated) {
  if (CpuBackwardPath(Families()[0].spec) == "reference") GTEST_SKIP() << "no SIMD path on this processor";
  for (const Family& family : Families()) {
    const RouteSpec& spec = family.spec;
    const std::vector<float> logits(3 * spec.num_experts, 1.0f);
    const std::vector<float> d_weights(3 * spec.top_k, 1.0f);
    std::vector<float> d_logits(3 * spec.num_experts);
    std::vector<int32_t> ids(3 * spec.top_k);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i) % spec.top_k;
    RouteBackwardInput input;
    input.logits = logits.data();
    input.rows = 3;
    input.logits_stride = spec.num_experts;
    input.ids = ids.data();
    input.d_weights = d_weights.data();
    input.ids_stride = input.d_weights_stride = spec.top_k;
    RouteBackwardOutput output;
    output.d_logits = d_logits.data();
    output.d_logits_stride = spec.num_experts;

    const int64_t before = AllocationCount();
    ASSERT_GT(before, 0);
    const bool ok = RouteBackwardCpu(spec, input, output).ok();
    EXPECT_EQ(AllocationCount(), before) << family.name;
    EXPECT_TRUE(ok) << family.name;
  }
}

}  // namespace
}  // namespace evenkeel::routing
