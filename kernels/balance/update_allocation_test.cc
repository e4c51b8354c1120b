// Update() is on the hot path: it must not allocate.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/allocation_count.h"
#include "kernels/balance/update.h"

namespace evenkeel::balance {
namespace {

TEST(UpdateAllocationTest, UpdateDoesNotAllocate) {
  for (const absl::string_view name : PresetNames()) {
    BalanceConfig config = FromPreset(name).value();
    config.schedule = {Schedule::Kind::kCosine, 1, 100, 0.1, {}};
    config.target.assign(256, 1.0f / 256);
    config.target[9] = -1;
    config.min_tokens = 2;
    LayerState state = InitialState(256);
    std::vector<uint64_t> counts(256, 3);
    counts[5] = 80;

    const int64_t before = AllocationCount();
    ASSERT_GT(before, 0);
    for (uint64_t step = 1; step <= 10; ++step) Update(config, {step, step}, counts, 1, &state);
    RecordUnmoved(11, UpdateReason::kSkipped, &state);
    EXPECT_EQ(AllocationCount(), before) << name;
    EXPECT_EQ(state.last_update, 10);
  }
}

}  // namespace
}  // namespace evenkeel::balance
