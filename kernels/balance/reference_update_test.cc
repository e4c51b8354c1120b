// Update() against ReferenceUpdate(): the same bits for any config, shape and history.

#include "kernels/balance/reference_update.h"

#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/balance/update.h"
#include "kernels/balance/update_generators.h"

namespace evenkeel::balance {
namespace {

constexpr int kSeeds = 600;
constexpr int kSteps = 24;

TEST(ReferenceUpdateTest, UpdateGivesTheSameBits) {
  std::map<UpdateReason, int> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const int num_experts = random.OneOf({1, 2, 3, 8, 64, 257});
    const BalanceConfig config = RandomConfig(random, num_experts);
    LayerState got = RandomState(random, num_experts);
    LayerState want = got;
    for (uint64_t step = 1; step <= kSteps; ++step) {
      const std::vector<uint64_t> counts = RandomCounts(random, num_experts);
      const uint64_t tokens = RandomTokens(random);
      const StepInfo info = {step, step, RandomMode(random)};
      const UpdateReason reason = Update(config, info, counts, tokens, &got);
      EXPECT_EQ(reason, ReferenceUpdate(config, info, counts, tokens, &want));
      ExpectSameState(got, want);
      ++seen[reason];
      if (HasFailure()) return;
    }
  }
  // The histories reach every outcome of Update() often enough to mean something.
  for (const UpdateReason reason :
       {UpdateReason::kMoved, UpdateReason::kWarmUp, UpdateReason::kNoTokens, UpdateReason::kBelowMinTokens,
        UpdateReason::kRateZero, UpdateReason::kFrozen, UpdateReason::kObserved}) {
    EXPECT_GT(seen[reason], 100) << ReasonName(reason);
  }
}

}  // namespace
}  // namespace evenkeel::balance
