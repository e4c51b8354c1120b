#include "kernels/balance/update.h"

#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::balance {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;
using Counts = std::vector<uint64_t>;

BalanceConfig Preset(absl::string_view name) { return FromPreset(name).value(); }

// The rule alone: no EMA, no centring, no cap.
BalanceConfig Plain(Rule rule, double rate) {
  BalanceConfig config;
  config.rule = rule;
  config.rate = rate;
  config.momentum = 0;
  config.center = Center::kNone;
  config.cap = 0;
  return config;
}

BalanceConfig WithTarget(BalanceConfig config, std::vector<float> target) {
  config.target = std::move(target);
  return config;
}

// One layer through a history of steps.
class Layer {
 public:
  Layer(BalanceConfig config, int num_experts) : config(std::move(config)), state(InitialState(num_experts)) {
    EXPECT_TRUE(Validate(this->config, num_experts).ok()) << Validate(this->config, num_experts);
  }

  UpdateReason Step(const Counts& counts, uint64_t tokens = 1, Mode mode = Mode::kBalance) {
    ++step;
    return Update(config, {step, step, mode}, counts, tokens, &state);
  }

  BalanceConfig config;
  LayerState state;
  uint64_t step = 0;
};

// The bias that one step makes of a layer at zero.
std::vector<float> BiasAfter(const BalanceConfig& config, const Counts& counts) {
  Layer layer(config, static_cast<int>(counts.size()));
  EXPECT_EQ(layer.Step(counts), UpdateReason::kMoved);
  return layer.state.bias;
}

// Each entry as wanted, to within `error` or four units in the last place.
testing::Matcher<std::vector<float>> Near(const std::vector<float>& want) {
  return Pointwise(testing::FloatEq(), want);
}
testing::Matcher<std::vector<float>> Near(const std::vector<float>& want, float error) {
  return Pointwise(FloatNear(error), want);
}

double MeanOf(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

const Counts kEight = {10, 0, 4, 4, 6, 4, 4, 0};     // mean 4
const Counts kOneAhead = {20, 4, 4, 4, 0, 0, 0, 0};  // mean 4, one above, four below

// ---- SIGN

TEST(SignTest, LossFreeStep) {
  for (const absl::string_view name : {"loss_free", "deepseek_v3", "megatron"}) {
    EXPECT_THAT(BiasAfter(Preset(name), kEight), ElementsAre(-1e-3f, 1e-3f, 0, 0, -1e-3f, 0, 0, 1e-3f));
    EXPECT_THAT(BiasAfter(Preset(name), kOneAhead), ElementsAre(-1e-3f, 0, 0, 0, 1e-3f, 1e-3f, 1e-3f, 1e-3f));
  }
}

TEST(SignTest, WithoutCentringTheMeanDrifts) {
  Layer layer(Preset("megatron"), 8);
  for (int step = 1; step <= 4; ++step) {
    layer.Step(kOneAhead);
    EXPECT_NEAR(MeanOf(layer.state.bias), step * 0.375e-3, 1e-9);
  }
}

TEST(SignTest, TorchtitanCentresTheDelta) {
  EXPECT_THAT(BiasAfter(Preset("torchtitan"), kEight), ElementsAre(-1e-3f, 1e-3f, 0, 0, -1e-3f, 0, 0, 1e-3f));
  EXPECT_THAT(BiasAfter(Preset("torchtitan"), kOneAhead),
              Near({-1.375e-3f, -0.375e-3f, -0.375e-3f, -0.375e-3f, 0.625e-3f, 0.625e-3f, 0.625e-3f, 0.625e-3f}));
}

TEST(SignTest, TheMeanNeedNotBeAnInteger) {
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 1), {3, 3, 2}), ElementsAre(-1, -1, 1));
}

// Cases from the public tests of Megatron-Core, torchtitan and NeMo Automodel.
TEST(SignTest, CasesOfOtherTrainers) {
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 0.25), {0, 2}), ElementsAre(0.25f, -0.25f));
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 0.1), {10, 0}), ElementsAre(-0.1f, 0.1f));
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 0.2), {0, 10}), ElementsAre(0.2f, -0.2f));
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 0.3), {3, 1}), ElementsAre(-0.3f, 0.3f));
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 0.1), {8, 8, 0, 0}), ElementsAre(-0.1f, -0.1f, 0.1f, 0.1f));
}

// A step is one update from the sum of its micro-batches: {6, 0} then {0, 4}. Signs of micro-batches would cancel.
TEST(SignTest, Pitfall04GradientAccumulationTrap) {
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 1), {6 + 0, 0 + 4}), ElementsAre(-1, 1));
  Layer per_micro_batch(Plain(Rule::kSign, 1), 2);
  per_micro_batch.Step({6, 0});
  per_micro_batch.Step({0, 4});
  EXPECT_THAT(per_micro_batch.state.bias, ElementsAre(0, 0));
}

// Counting one micro-batch of {7, 9} twice, as partial recompute does, turns the signs round.
TEST(SignTest, PartialRecomputeTrap) {
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 1), {7, 9}), ElementsAre(1, -1));
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 1), {13, 11}), ElementsAre(-1, 1));
}

// One assignment in 503,316,480, beyond what float32 can count.
TEST(SignTest, ASingleAssignmentDecides) {
  Counts counts(256, 1966080);
  EXPECT_THAT(BiasAfter(Plain(Rule::kSign, 1), counts), Each(0));
  ++counts[3];
  --counts[7];
  std::vector<float> want(256, 0);
  want[3] = -1;
  want[7] = 1;
  EXPECT_EQ(BiasAfter(Plain(Rule::kSign, 1), counts), want);
}

// In bfloat16 the same bias would stop at 0.5.
TEST(SignTest, TheBiasDoesNotStall) {
  Layer layer(Preset("loss_free"), 2);
  for (int step = 0; step < 1500; ++step) layer.Step({0, 2});
  EXPECT_NEAR(layer.state.bias[0], 1.5, 1e-4);
}

TEST(SignTest, TargetVector) {
  // Sum 16: wanted 8, 4, 4.
  const BalanceConfig config = WithTarget(Plain(Rule::kSign, 1), {0.5f, 0.25f, 0.25f});
  EXPECT_THAT(BiasAfter(config, {9, 3, 4}), ElementsAre(-1, 1, 0));
}

// ---- FREQUENCY

TEST(FrequencyTest, AxolotlSteps) {
  Layer layer(Preset("axolotl_noaux_tc"), 8);
  layer.Step(kEight);
  EXPECT_THAT(layer.state.bias, Near({-1.875e-4f, 1.25e-4f, 0, 0, -6.25e-5f, 0, 0, 1.25e-4f}, 1e-9f));
  layer.Step(kEight);
  EXPECT_THAT(layer.state.bias, Near({-5.4375e-4f, 3.625e-4f, 0, 0, -1.8125e-4f, 0, 0, 3.625e-4f}, 1e-9f));
}

TEST(FrequencyTest, TheEmaIsOfTheShare) {
  Layer layer(Preset("axolotl_noaux_tc"), 8);
  layer.Step(kEight);
  EXPECT_THAT(layer.state.ema, Near({0.03125f, 0, 0.0125f, 0.0125f, 0.01875f, 0.0125f, 0.0125f, 0}));
  EXPECT_EQ(layer.state.ema_product, 0.9f);
}

// LongCat-Flash: six experts are to have (3/4)/6 of 24 assignments each; two that compute nothing are never moved.
TEST(FrequencyTest, LongcatTarget) {
  const BalanceConfig config =
      WithTarget(Plain(Rule::kFrequency, 1), {0.125f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, -1, -1});
  EXPECT_THAT(BiasAfter(config, {5, 1, 3, 3, 3, 3, 5, 1}), Near({-1.0f / 12, 1.0f / 12, 0, 0, 0, 0, 0, 0}));
}

TEST(FrequencyTest, AZeroTargetOnlyGoesDown) {
  const BalanceConfig config = WithTarget(Plain(Rule::kFrequency, 1), {1, 0});
  EXPECT_THAT(BiasAfter(config, {3, 1}), ElementsAre(0.25f, -0.25f));
}

// ---- PROPORTIONAL

TEST(ProportionalTest, NormalisedByTheMean) {
  EXPECT_THAT(BiasAfter(Plain(Rule::kProportional, 1e-3), kEight),
              Near({-1.5e-3f, 1e-3f, 0, 0, -0.5e-3f, 0, 0, 1e-3f}));
}

TEST(ProportionalTest, Pitfall22EvenkeelTakesTheWholeErrorFromTheFirstStep) {
  Layer layer(Preset("evenkeel"), 8);
  layer.Step(kEight);
  EXPECT_THAT(layer.state.bias, Near({-0.015f, 0.01f, 0, 0, -0.005f, 0, 0, 0.01f}, 1e-8f));
  EXPECT_FLOAT_EQ(layer.state.ema[0], -0.15f);  // stored without correction
  layer.Step(kEight);
  EXPECT_THAT(layer.state.bias, Near({-0.03f, 0.02f, 0, 0, -0.01f, 0, 0, 0.02f}, 1e-8f));
  EXPECT_FLOAT_EQ(layer.state.ema_product, 0.81f);
}

TEST(ProportionalTest, DoesNotDependOnTheScaleOfTheCounts) {
  Counts large = kEight;
  for (uint64_t& count : large) count *= 1'000'000'007;
  EXPECT_EQ(BiasAfter(Preset("evenkeel"), large), BiasAfter(Preset("evenkeel"), kEight));
}

TEST(ProportionalTest, TargetVector) {
  // Sum 16: wanted 8, 4; the third has the rest, whatever it is.
  const BalanceConfig config = WithTarget(Plain(Rule::kProportional, 1), {0.5f, 0.25f, -1});
  EXPECT_THAT(BiasAfter(config, {10, 1, 5}), ElementsAre(-0.25f, 0.75f, 0));
}

TEST(ProportionalTest, TheSmallestTargetStaysFinite) {
  const BalanceConfig config = WithTarget(Plain(Rule::kProportional, kMaxRate), {kMinProportionalTarget, 0.5f});
  EXPECT_THAT(BiasAfter(config, {kMaxCountSum, 0}), Near({-1e15f, 1e6f}));
}

// ---- EMA

TEST(EmaTest, MomentumSmoothsTheSign) {
  BalanceConfig config = Plain(Rule::kSign, 1);
  config.momentum = 0.5;
  config.ema_correction = false;
  Layer layer(config, 2);
  layer.Step({2, 0});
  EXPECT_THAT(layer.state.bias, ElementsAre(-0.5f, 0.5f));
  layer.Step({0, 2});  // ema = 0.5 * -0.5 + 0.5 * 1
  EXPECT_THAT(layer.state.ema, ElementsAre(0.25f, -0.25f));
  EXPECT_THAT(layer.state.bias, ElementsAre(-0.25f, 0.25f));
}

TEST(EmaTest, CorrectionDividesByWhatIsMissing) {
  BalanceConfig config = Plain(Rule::kSign, 1);
  config.momentum = 0.5;
  config.ema_correction = true;
  Layer layer(config, 2);
  layer.Step({2, 0});
  EXPECT_THAT(layer.state.bias, ElementsAre(-1, 1));
  layer.Step({0, 2});  // 0.25 / (1 - 0.25)
  EXPECT_THAT(layer.state.bias, Near({-2.0f / 3, 2.0f / 3}));
}

// ---- Centring and caps

TEST(CenterTest, StateTakesTheOffsetOfTheBiasOff) {
  BalanceConfig config = Plain(Rule::kSign, 0.5);
  config.center = Center::kState;
  Layer layer(config, 2);
  layer.state.bias = {7, 8};
  layer.Step({0, 2});
  EXPECT_THAT(layer.state.bias, ElementsAre(0, 0));
}

TEST(CenterTest, DeltaLeavesTheOffsetOfTheBias) {
  BalanceConfig config = Plain(Rule::kSign, 0.5);
  config.center = Center::kDelta;
  Layer layer(config, 4);
  layer.state.bias = {7, 7, 7, 7};
  layer.Step({5, 1, 1, 1});
  EXPECT_THAT(layer.state.bias, ElementsAre(6.25f, 7.25f, 7.25f, 7.25f));
}

TEST(CenterTest, ExpertsThatNeverMoveHaveNoPart) {
  for (const Center center : {Center::kNone, Center::kDelta, Center::kState}) {
    BalanceConfig config = WithTarget(Plain(Rule::kSign, 0.5), {-1, 0.25f, 0.25f});
    config.center = center;
    config.cap = 1;
    config.cap_mode = CapMode::kAbsolute;
    Layer layer(config, 3);
    layer.state.bias = {100, 0, 0};
    layer.state.ema = {3, 0, 0};
    layer.Step({4, 3, 1});
    EXPECT_THAT(layer.state.bias, ElementsAre(100, -0.5f, 0.5f));
    EXPECT_EQ(layer.state.ema[0], 3);
  }
}

TEST(CapTest, AbsoluteHoldsTheValue) {
  BalanceConfig config = Plain(Rule::kSign, 1);
  config.cap = 2.5;
  config.cap_mode = CapMode::kAbsolute;
  Layer layer(config, 2);
  for (int step = 0; step < 5; ++step) layer.Step({2, 0});
  EXPECT_THAT(layer.state.bias, ElementsAre(-2.5f, 2.5f));
}

TEST(CapTest, Pitfall21DeviationKeepsAnImportedOffset) {
  BalanceConfig config = Plain(Rule::kSign, 0.125);
  config.cap = 2;
  config.cap_mode = CapMode::kDeviation;
  Layer layer(config, 4);
  layer.state.bias = {7, 7.5f, 6.5f, 7};
  layer.Step({1, 1, 1, 1});
  EXPECT_THAT(layer.state.bias, ElementsAre(7, 7.5f, 6.5f, 7));
  layer.state.bias = {12, 6, 5, 5};  // mean 7
  layer.Step({1, 1, 1, 1});
  EXPECT_THAT(layer.state.bias, ElementsAre(9, 6, 5, 5));
  layer.config.cap_mode = CapMode::kAbsolute;
  layer.Step({1, 1, 1, 1});
  EXPECT_THAT(layer.state.bias, Each(2));  // what the deviation cap is for
}

TEST(CapTest, DeviationIsFromTheMeanAfterCentring) {
  BalanceConfig config = Plain(Rule::kSign, 0.125);
  config.center = Center::kState;
  config.cap = 2;
  config.cap_mode = CapMode::kDeviation;
  Layer layer(config, 4);
  layer.state.bias = {12, 6, 5, 5};
  layer.Step({1, 1, 1, 1});
  EXPECT_THAT(layer.state.bias, ElementsAre(2, -1, -2, -2));
}

// ---- When nothing moves

void ExpectSameButForTheCommit(const LayerState& state, const LayerState& before) {
  EXPECT_EQ(state.bias, before.bias);
  EXPECT_EQ(state.ema, before.ema);
  EXPECT_EQ(state.ema_product, before.ema_product);
  EXPECT_EQ(state.counts, before.counts);
  EXPECT_EQ(state.tokens, before.tokens);
  EXPECT_EQ(state.last_update, before.last_update);
}

// A layer with a past, and counts pending.
Layer LayerWithPast() {
  Layer layer(Preset("evenkeel"), 4);
  layer.config.min_tokens = 10;
  EXPECT_EQ(layer.Step({4, 3, 2, 1}, 10), UpdateReason::kMoved);
  EXPECT_EQ(layer.Step({1, 0, 0, 1}, 2), UpdateReason::kBelowMinTokens);
  return layer;
}

void ExpectStays(Layer layer, UpdateReason reason, const Counts& counts = {9, 1, 1, 1}, uint64_t tokens = 12,
                 Mode mode = Mode::kBalance) {
  SCOPED_TRACE(ReasonName(reason));
  const LayerState before = layer.state;
  EXPECT_EQ(layer.Step(counts, tokens, mode), reason);
  ExpectSameButForTheCommit(layer.state, before);
  EXPECT_EQ(layer.state.last_commit, 3);
  EXPECT_EQ(layer.state.last_update, 1);
  EXPECT_EQ(layer.state.last_reason, reason);
}

TEST(StaysTest, Modes) {
  ExpectStays(LayerWithPast(), UpdateReason::kObserved, {9, 1, 1, 1}, 12, Mode::kObserve);
  ExpectStays(LayerWithPast(), UpdateReason::kFrozen, {9, 1, 1, 1}, 12, Mode::kFrozen);
}

TEST(StaysTest, FrozenConfig) {
  Layer layer = LayerWithPast();
  layer.config.frozen = true;
  ExpectStays(layer, UpdateReason::kFrozen);
}

TEST(StaysTest, WarmUp) {
  Layer layer = LayerWithPast();
  layer.config.warmup_steps = 3;
  ExpectStays(layer, UpdateReason::kWarmUp);
}

TEST(StaysTest, RateZero) {
  Layer layer = LayerWithPast();
  for (const double rate : {0.0, 1e-50}) {  // 0 as float32
    layer.config.rate = rate;
    ExpectStays(layer, UpdateReason::kRateZero);
  }
}

TEST(StaysTest, NoTokens) {
  ExpectStays(LayerWithPast(), UpdateReason::kNoTokens, {0, 0, 0, 0}, 0);
  ExpectStays(LayerWithPast(), UpdateReason::kNoTokens, {0, 0, 0, 0}, 12);  // no token could be assigned
}

TEST(StaysTest, Skipped) {
  Layer layer = LayerWithPast();
  const LayerState before = layer.state;
  RecordUnmoved(3, UpdateReason::kSkipped, &layer.state);
  ExpectSameButForTheCommit(layer.state, before);
  EXPECT_EQ(layer.state.last_commit, 3);
  EXPECT_EQ(layer.state.last_reason, UpdateReason::kSkipped);
}

TEST(StaysTest, ChoicesComeBeforeData) {
  Layer layer = LayerWithPast();
  layer.config.rate = 0;
  ExpectStays(layer, UpdateReason::kRateZero, {0, 0, 0, 0}, 0);
  layer.config.warmup_steps = 3;
  ExpectStays(layer, UpdateReason::kWarmUp);
  layer.config.frozen = true;
  ExpectStays(layer, UpdateReason::kFrozen);
  ExpectStays(layer, UpdateReason::kObserved, {9, 1, 1, 1}, 12, Mode::kObserve);
}

TEST(WarmUpTest, IsForgottenByEveryRule) {
  for (const absl::string_view name : PresetNames()) {
    Layer warm(Preset(name), 8);
    warm.config.warmup_steps = 3;
    for (int step = 0; step < 3; ++step) EXPECT_EQ(warm.Step({32, 0, 0, 0, 0, 0, 0, 0}), UpdateReason::kWarmUp);
    EXPECT_EQ(warm.Step(kEight), UpdateReason::kMoved);
    EXPECT_EQ(warm.state.bias, BiasAfter(Preset(name), kEight)) << name;
    EXPECT_EQ(warm.state.last_update, 4);
  }
}

TEST(WarmUpTest, GoesByPositionNotByStep) {
  Layer layer(Preset("loss_free"), 2);
  layer.config.warmup_steps = 2;
  RecordUnmoved(1, UpdateReason::kSkipped, &layer.state);
  RecordUnmoved(2, UpdateReason::kSkipped, &layer.state);
  EXPECT_EQ(Update(layer.config, {3, 1}, {2, 0}, 1, &layer.state), UpdateReason::kWarmUp);
  EXPECT_EQ(Update(layer.config, {4, 2}, {2, 0}, 1, &layer.state), UpdateReason::kWarmUp);
  EXPECT_EQ(Update(layer.config, {5, 3}, {2, 0}, 1, &layer.state), UpdateReason::kMoved);
  EXPECT_EQ(layer.state.last_update, 5);
}

TEST(ScheduleTest, ScalesTheStepAndEndsIt) {
  Layer layer(Preset("loss_free"), 2);
  layer.config.schedule = {Schedule::Kind::kSteps, 0, 0, 0, {{2, 0.5}, {3, 0}}};
  EXPECT_EQ(layer.Step({2, 0}), UpdateReason::kMoved);
  EXPECT_EQ(layer.Step({2, 0}), UpdateReason::kMoved);
  EXPECT_THAT(layer.state.bias, Near({-1.5e-3f, 1.5e-3f}));
  EXPECT_EQ(layer.Step({2, 0}), UpdateReason::kRateZero);
  EXPECT_THAT(layer.state.bias, Near({-1.5e-3f, 1.5e-3f}));
}

// ---- min_tokens

TEST(MinTokensTest, Pitfall23AddsStepsUpAndMovesOnceByTheirSum) {
  for (const absl::string_view name : PresetNames()) {
    Layer layer(Preset(name), 4);
    layer.config.min_tokens = 10;
    EXPECT_EQ(layer.Step({4, 0, 0, 0}, 4), UpdateReason::kBelowMinTokens);
    EXPECT_EQ(layer.Step({0, 4, 1, 0}, 5), UpdateReason::kBelowMinTokens);
    EXPECT_THAT(layer.state.counts, ElementsAre(4, 4, 1, 0));
    EXPECT_EQ(layer.state.tokens, 9);
    EXPECT_THAT(layer.state.bias, Each(0));
    EXPECT_EQ(layer.state.last_update, 0);
    EXPECT_EQ(layer.Step({1, 0, 0, 0}, 1), UpdateReason::kMoved);
    EXPECT_EQ(layer.state.bias, BiasAfter(Preset(name), {5, 4, 1, 0})) << name;
    EXPECT_THAT(layer.state.counts, Each(0));
    EXPECT_EQ(layer.state.tokens, 0);
    EXPECT_EQ(layer.state.last_update, 3);
  }
}

TEST(MinTokensTest, PendingCountsSurviveAChangeOfConfig) {
  Layer layer(Preset("loss_free"), 2);
  layer.config.min_tokens = 100;
  layer.Step({0, 8}, 8);
  layer.config.min_tokens = 0;
  EXPECT_EQ(layer.Step({4, 0}, 4), UpdateReason::kMoved);
  EXPECT_THAT(layer.state.bias, ElementsAre(1e-3f, -1e-3f));  // by {4, 8}
}

// ---- Shapes and extremes

TEST(ExtremesTest, ASingleExpertStaysAtZero) {
  for (const absl::string_view name : PresetNames()) EXPECT_THAT(BiasAfter(Preset(name), {5}), ElementsAre(0)) << name;
}

TEST(ExtremesTest, AllOnOneOfTheMostExperts) {
  Counts counts(kMaxExperts, 0);
  counts[17] = kMaxCountSum;
  EXPECT_EQ(BiasAfter(Plain(Rule::kProportional, 1), counts)[17], 1.0f - kMaxExperts);
  EXPECT_EQ(BiasAfter(Plain(Rule::kProportional, 1), counts)[0], 1.0f);
  EXPECT_EQ(BiasAfter(Plain(Rule::kSign, 1), counts)[17], -1.0f);
  EXPECT_EQ(BiasAfter(Plain(Rule::kFrequency, 1), counts)[17], 1.0f / kMaxExperts - 1.0f);
  for (const absl::string_view name : PresetNames()) {
    for (const float bias : BiasAfter(Preset(name), counts)) ASSERT_TRUE(std::isfinite(bias)) << name;
  }
}

TEST(ExtremesTest, OneAssignmentDecidesAtTheLargestSum) {
  Counts counts(1 << 14, kMaxCountSum >> 14);
  --counts[0];
  EXPECT_EQ(BiasAfter(Plain(Rule::kSign, 1), counts)[0], 1);
  EXPECT_EQ(BiasAfter(Plain(Rule::kSign, 1), counts)[1], -1);  // the mean is now below the others' count
  EXPECT_GT(BiasAfter(Plain(Rule::kProportional, 1), counts)[0], 0);
}

// ---- The same bits on every host

// 200 steps of 64 experts with counts in [0, 1000) from a linear congruential generator.
uint64_t HashAfterHistory(BalanceConfig config) {
  config.schedule = {Schedule::Kind::kCosine, 20, 180, 0.1, {}};
  Layer layer(std::move(config), 64);
  uint64_t random = 1;
  Counts counts(64);
  for (int step = 0; step < 200; ++step) {
    for (uint64_t& count : counts) {
      random = random * 6364136223846793005 + 1442695040888963407;
      count = (random >> 33) % 1000;
    }
    layer.Step(counts);
  }
  return HashBias(layer.state.bias);
}

// Expected values from the formulas in update.h written in another language, each operation in IEEE double rounded to
// float32 (which for add, subtract, multiply and divide is the float32 operation).
TEST(BitsTest, OfEveryPreset) {
  EXPECT_EQ(HashAfterHistory(Preset("loss_free")), 0x7c03f06dd4ba61b8);
  EXPECT_EQ(HashAfterHistory(Preset("torchtitan")), 0x49c010732b87b2ea);
  EXPECT_EQ(HashAfterHistory(Preset("axolotl_noaux_tc")), 0xece649c3a6c626c3);
  EXPECT_EQ(HashAfterHistory(Preset("evenkeel")), 0xf4551422eec93ebd);
}

TEST(UpdateDeathTest, BrokenContracts) {
  Layer layer(Preset("evenkeel"), 2);
  EXPECT_DEATH(layer.Step({1, 2, 3}), "size of the state");
  EXPECT_DEATH(layer.Step({}), "1 to 16384");
  EXPECT_DEATH(layer.Step({kMaxCountSum, 1}), "2\\^48");
  EXPECT_DEATH(layer.Step({~uint64_t{0}, 2}), "2\\^48");
  EXPECT_DEATH(layer.Step({1, 1}, kMaxCountSum + 1), "2\\^48");
  layer.config.target = {1};
  EXPECT_DEATH(layer.Step({1, 2}), "size of the target");
  EXPECT_DEATH(InitialState(0), "1 to 16384");
}

TEST(UpdateDeathTest, PendingCountsAreInTheSum) {
  Layer layer(Preset("evenkeel"), 2);
  layer.config.min_tokens = 100;
  layer.Step({kMaxCountSum, 0});
  EXPECT_DEATH(layer.Step({0, 1}), "2\\^48");
}

TEST(ReasonNameTest, EachHasItsOwn) {
  EXPECT_EQ(ReasonName(UpdateReason::kNever), "never");
  EXPECT_EQ(ReasonName(UpdateReason::kMoved), "moved");
  EXPECT_EQ(ReasonName(UpdateReason::kWarmUp), "warm up");
  EXPECT_EQ(ReasonName(UpdateReason::kNoTokens), "no tokens");
  EXPECT_EQ(ReasonName(UpdateReason::kBelowMinTokens), "below min tokens");
  EXPECT_EQ(ReasonName(UpdateReason::kRateZero), "rate zero");
  EXPECT_EQ(ReasonName(UpdateReason::kFrozen), "frozen");
  EXPECT_EQ(ReasonName(UpdateReason::kObserved), "observed");
  EXPECT_EQ(ReasonName(UpdateReason::kSkipped), "skipped");
  EXPECT_EQ(ReasonName(UpdateReason::kReplayed), "replayed");
  EXPECT_EQ(ReasonName(UpdateReason::kHalted), "halted");
}

}  // namespace
}  // namespace evenkeel::balance
