// Update() against ReferenceUpdate(): the same bits for any config, shape and history.

#include "kernels/balance/reference_update.h"

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/balance/update.h"

namespace evenkeel::balance {
namespace {

constexpr int kSeeds = 600;
constexpr int kSteps = 24;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  double Unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

Schedule RandomSchedule(Random& random) {
  using Kind = Schedule::Kind;
  Schedule schedule;
  schedule.kind = random.OneOf({Kind::kConstant, Kind::kLinear, Kind::kCosine, Kind::kSteps, Kind::kToZero});
  schedule.begin = 1 + random.Below(10);
  schedule.end = schedule.begin + 1 + random.Below(20);
  schedule.final_ratio = random.OneOf({0.0, 0.1, 3.0});
  schedule.points = {{1 + random.Below(5), random.Unit()}, {10 + random.Below(5), random.OneOf({0.0, 0.3})}};
  return schedule;
}

std::vector<float> RandomTarget(Random& random, int num_experts) {
  if (random.OneIn(2)) return {};
  std::vector<float> target(num_experts, -1.0f);
  for (float& share : target) {
    if (!random.OneIn(4)) share = static_cast<float>((0.01 + random.Unit()) / (1.01 * num_experts));
  }
  target[random.Below(num_experts)] = 0.5f / num_experts;
  return target;
}

BalanceConfig RandomConfig(Random& random, int num_experts) {
  BalanceConfig config;
  config.rule = random.OneOf({Rule::kSign, Rule::kFrequency, Rule::kProportional});
  config.rate = random.OneOf({1e-3, 1e-2, 0.37, 50.0});
  config.schedule = RandomSchedule(random);
  config.momentum = random.OneOf({0.0, 0.5, 0.9, 0.999});
  config.ema_correction = random.OneIn(2);
  config.center = random.OneOf({Center::kNone, Center::kDelta, Center::kState});
  config.cap = random.OneOf({-1.0, 0.0, 0.01, 2.0});
  config.cap_mode = random.OneOf({CapMode::kAbsolute, CapMode::kDeviation});
  config.warmup_steps = random.OneOf({0, 0, 3});
  config.target = RandomTarget(random, num_experts);
  config.min_tokens = random.OneOf({0, 0, 1, 5000});
  config.frozen = random.OneIn(20);
  return config;
}

std::vector<uint64_t> RandomCounts(Random& random, int num_experts) {
  const uint64_t limit = random.OneOf({uint64_t{1}, uint64_t{3}, uint64_t{1000}, (kMaxCountSum >> 5) / num_experts});
  std::vector<uint64_t> counts(num_experts);
  for (uint64_t& count : counts) count = random.OneIn(5) ? 0 : random.Below(limit);
  return counts;
}

LayerState RandomState(Random& random, int num_experts) {
  LayerState state = InitialState(num_experts);
  const float offset = random.OneOf({0.0f, 7.0f, -300.0f});
  for (float& bias : state.bias) bias = offset + static_cast<float>(random.Unit() - 0.5);
  return state;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

void ExpectSameState(const LayerState& got, const LayerState& want) {
  EXPECT_TRUE(SameBits(got.bias, want.bias));
  EXPECT_TRUE(SameBits(got.ema, want.ema));
  EXPECT_EQ(got.ema_product, want.ema_product);
  EXPECT_EQ(got.counts, want.counts);
  EXPECT_EQ(got.tokens, want.tokens);
  EXPECT_EQ(got.last_commit, want.last_commit);
  EXPECT_EQ(got.last_update, want.last_update);
  EXPECT_EQ(got.last_reason, want.last_reason);
}

TEST(ReferenceUpdateTest, UpdateGivesTheSameBits) {
  std::map<UpdateReason, int> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const int num_experts = random.OneOf({1, 2, 3, 8, 64, 257});
    const BalanceConfig config = RandomConfig(random, num_experts);
    ASSERT_TRUE(Validate(config, num_experts).ok()) << Validate(config, num_experts);
    LayerState got = RandomState(random, num_experts);
    LayerState want = got;
    for (uint64_t step = 1; step <= kSteps; ++step) {
      const std::vector<uint64_t> counts = RandomCounts(random, num_experts);
      const uint64_t tokens = random.OneIn(10) ? 0 : random.Below(4000);
      const Mode mode = random.OneIn(10) ? random.OneOf({Mode::kFrozen, Mode::kObserve}) : Mode::kBalance;
      const StepInfo info = {step, step, mode};
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
