#include "kernels/balance/update_generators.h"

#include <cmath>
#include <cstring>

#include "gtest/gtest.h"

namespace evenkeel::balance {
namespace {

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

// Of all magnitudes, and the second half nearly undoes the first: the mean is what the rounding of the sum left.
void SpreadBias(Random& random, std::vector<float>* bias) {
  const size_t half = bias->size() / 2;
  for (size_t i = 0; i < bias->size(); ++i) {
    const float value = std::ldexp(static_cast<float>(random.Unit() + 0.5), static_cast<int>(random.Below(64)) - 4);
    (*bias)[i] = i >= half && !random.OneIn(8) ? -(*bias)[i - half] : value;
  }
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

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
  EXPECT_TRUE(Validate(config, num_experts).ok()) << Validate(config, num_experts);
  return config;
}

Mode RandomMode(Random& random) {
  return random.OneIn(7) ? random.OneOf({Mode::kFrozen, Mode::kObserve}) : Mode::kBalance;
}

std::vector<uint64_t> RandomCounts(Random& random, int num_experts) {
  const uint64_t limit = random.OneOf({uint64_t{1}, uint64_t{3}, uint64_t{1000}, (kMaxCountSum >> 5) / num_experts});
  std::vector<uint64_t> counts(num_experts);
  for (uint64_t& count : counts) count = random.OneIn(5) ? 0 : random.Below(limit);
  return counts;
}

uint64_t RandomTokens(Random& random) { return random.OneIn(10) ? 0 : random.Below(4000); }

LayerState RandomState(Random& random, int num_experts) {
  LayerState state = InitialState(num_experts);
  if (random.OneIn(3)) {
    SpreadBias(random, &state.bias);
    return state;
  }
  const float offset = random.OneOf({0.0f, 7.0f, -300.0f});
  for (float& bias : state.bias) bias = offset + static_cast<float>(random.Unit() - 0.5);
  return state;
}

void ExpectSameState(const LayerState& got, const LayerState& want) {
  EXPECT_TRUE(SameBits(got.bias, want.bias));
  EXPECT_TRUE(SameBits(got.ema, want.ema));
  EXPECT_EQ(got.ema_product, want.ema_product);
  EXPECT_EQ(got.counts, want.counts);
  EXPECT_EQ(got.tokens, want.tokens);
  EXPECT_EQ(got.last_commit, want.last_commit);
  EXPECT_EQ(got.last_update, want.last_update);
  EXPECT_EQ(ReasonName(got.last_reason), ReasonName(want.last_reason));
}

}  // namespace evenkeel::balance
