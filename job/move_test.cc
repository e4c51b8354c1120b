#include "job/move.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/balance/update.h"
#include "synthetic/synthetic_load.h"

namespace evenkeel::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Version VersionOf(uint64_t step) {
  v1::Version version;
  version.set_epoch(1);
  version.set_step(step);
  return version;
}

CommitInputs Inputs(uint64_t step, bool ok = true) {
  CommitInputs inputs;
  inputs.version = VersionOf(step);
  inputs.ok = ok;
  inputs.participants = {0};
  return inputs;
}

StepSums Sums(const JobPlan& plan, std::vector<uint64_t> counts, std::vector<uint64_t> tokens) {
  StepSums sums(plan.layers);
  sums.counts = std::move(counts);
  sums.tokens = std::move(tokens);
  return sums;
}

// A job that is committed step by step.
struct Bench {
  explicit Bench(const v1::JobSpec& spec)
      : plan(TestPlan(spec)), state(InitialJobState(plan)), move(InitialMove(plan, state)) {}

  void Commit(uint64_t routed_with, const StepSums& sums, bool ok = true) {
    const uint64_t step = state.version.step() + 1;
    const bool stale = routed_with < DueStep(plan, step, 0);
    CommitRoutedStep(plan, Inputs(step, ok), VersionOf(routed_with), stale, sums, &state, &move);
  }
  void CommitOnTime(const StepSums& sums) { Commit(DueStep(plan, state.version.step() + 1, 0), sums); }

  const JobPlan plan;
  JobState state;
  Move move;
};

v1::JobSpec SpecWithPreset(const std::string& preset) {
  v1::JobSpec spec = TestSpec(1);
  spec.mutable_balance()->set_preset(preset);
  return spec;
}

StepSums Some(const Bench& bench) { return Sums(bench.plan, {4, 1, 1, 0, /**/ 2, 0, 0}, {3, 2}); }
StepSums Other(const Bench& bench) { return Sums(bench.plan, {0, 3, 2, 1, /**/ 0, 1, 1}, {3, 2}); }
StepSums Both(const Bench& bench) {
  StepSums both = Some(bench);
  both.Add(Other(bench));
  return both;
}

TEST(DueStepTest, IsTheNewestVersionThatIsValidByThen) {
  v1::JobSpec spec = TestSpec(1);
  const JobPlan at_once = TestPlan(spec);
  EXPECT_EQ(DueStep(at_once, 1, 0), 0u);
  EXPECT_EQ(DueStep(at_once, 7, 0), 6u);
  EXPECT_EQ(DueStep(at_once, 7, 6), 6u);
  spec.set_lag(1);
  const JobPlan lagging = TestPlan(spec);
  EXPECT_EQ(DueStep(lagging, 1, 0), 0u);
  EXPECT_EQ(DueStep(lagging, 2, 0), 0u);
  EXPECT_EQ(DueStep(lagging, 7, 0), 5u);
  EXPECT_EQ(DueStep(lagging, 7, 6), 6u);
}

// ---------------------------------------------------------------------------------------------------------------------
// The rule

TEST(MoveTest, AStepOnTimeIsAMoveOfItsOwn) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = SpecWithPreset("evenkeel");
    spec.set_lag(lag);
    Bench bench(spec);
    JobState expected = bench.state;
    for (uint64_t step = 1; step <= 4; ++step) {
      const StepSums sums = step % 2 == 0 ? Some(bench) : Other(bench);
      bench.CommitOnTime(sums);
      CommitStep(bench.plan, Inputs(step), sums, &expected);
      EXPECT_EQ(ToProto(bench.plan, bench.state).SerializeAsString(),
                ToProto(bench.plan, expected).SerializeAsString());
      EXPECT_EQ(bench.move.base->version.step(), step - 1);
    }
  }
}

TEST(MoveTest, StaleStepsMoveTheBiasAsOneStepOfTheirSum) {
  Bench bench(SpecWithPreset("evenkeel"));
  bench.CommitOnTime(Other(bench));
  JobState expected = bench.state;
  bench.CommitOnTime(Some(bench));  // with version 1, as it was due
  bench.Commit(1, Other(bench));    // with version 1, still
  balance::StepInfo info{3, 3};
  balance::Update(bench.plan.balance[0], info, {4, 4, 3, 1}, 6, &expected.layers[0].balance);
  EXPECT_EQ(bench.state.layers[0].balance.bias, expected.layers[0].balance.bias);
  EXPECT_EQ(bench.state.layers[0].balance.ema, expected.layers[0].balance.ema);
  EXPECT_EQ(bench.state.layers[0].balance.ema_product, expected.layers[0].balance.ema_product);
  // Whatever else is recorded is the step's own.
  EXPECT_THAT(bench.state.layers[0].last_counts, ElementsAre(0, 3, 2, 1));
  EXPECT_EQ(bench.state.layers[0].last_tokens, 3u);
  EXPECT_EQ(bench.state.layers[0].balance.last_commit, 3u);
  EXPECT_EQ(bench.state.layers[0].balance.last_update, 3u);
  EXPECT_EQ(bench.state.position, 3u);
  EXPECT_EQ(bench.state.version.step(), 3u);
  EXPECT_EQ(bench.move.base->version.step(), 1u);
  EXPECT_EQ(bench.move.sums.counts, Both(bench).counts);
  EXPECT_EQ(bench.move.sums.tokens, Both(bench).tokens);
}

TEST(MoveTest, AnotherVersionIsAnotherMove) {
  Bench bench(SpecWithPreset("loss_free"));
  for (int step = 1; step <= 3; ++step) bench.CommitOnTime(Some(bench));
  bench.Commit(0, Some(bench));  // stale, and no version that routed the last step
  EXPECT_EQ(bench.move.base->version.step(), 3u);
  EXPECT_EQ(bench.state.layers[1].balance.bias[0], -1e-3f * 4);
  bench.Commit(0, Some(bench));
  EXPECT_EQ(bench.move.base->version.step(), 3u);
  EXPECT_EQ(bench.state.layers[1].balance.bias[0], -1e-3f * 4);
  bench.Commit(1, Some(bench));
  EXPECT_EQ(bench.move.base->version.step(), 5u);
  bench.Commit(0, Some(bench));
  EXPECT_EQ(bench.move.base->version.step(), 6u) << "a move that another has followed is over";
}

TEST(MoveTest, WithLagTheFirstTwoStepsAreTwoMoves) {
  v1::JobSpec spec = SpecWithPreset("loss_free");
  spec.set_lag(1);
  Bench bench(spec);
  bench.Commit(0, Some(bench));
  bench.Commit(0, Some(bench));
  EXPECT_EQ(bench.move.base->version.step(), 1u);
  EXPECT_EQ(bench.state.layers[1].balance.bias[0], -1e-3f * 2);
  bench.Commit(0, Some(bench));
  EXPECT_EQ(bench.move.base->version.step(), 1u);
  EXPECT_EQ(bench.state.layers[1].balance.bias[0], -1e-3f * 2);
}

TEST(MoveTest, ADroppedStepIsInNoMove) {
  Bench bench(SpecWithPreset("evenkeel"));
  Bench without(SpecWithPreset("evenkeel"));
  for (Bench* each : {&bench, &without}) each->Commit(0, Some(*each));
  bench.Commit(0, Some(bench), /*ok=*/false);
  EXPECT_EQ(bench.state.layers[0].balance.last_reason, balance::UpdateReason::kSkipped);
  EXPECT_EQ(bench.state.position, 1u);
  EXPECT_EQ(bench.move.base->version.step(), 0u);
  for (Bench* each : {&bench, &without}) each->Commit(0, Other(*each));
  EXPECT_EQ(bench.state.position, 2u);
  EXPECT_EQ(bench.state.layers[0].balance.bias, without.state.layers[0].balance.bias);
  EXPECT_EQ(bench.state.layers[1].balance.ema, without.state.layers[1].balance.ema);
}

// Unlike a dropped one it advances the schedule, as the move that comes after it shows.
TEST(MoveTest, AReplayedStepIsInNoMove) {
  Bench bench(SpecWithPreset("evenkeel"));
  Bench without(SpecWithPreset("evenkeel"));
  for (Bench* each : {&bench, &without}) each->Commit(0, Some(*each));
  CommitInputs replay = Inputs(2);
  replay.replayed = true;
  CommitRoutedStep(bench.plan, replay, VersionOf(0), /*stale=*/true, Some(bench), &bench.state, &bench.move);
  EXPECT_EQ(bench.state.layers[0].balance.last_reason, balance::UpdateReason::kReplayed);
  EXPECT_THAT(bench.state.layers[0].last_counts, ElementsAre(4, 1, 1, 0));
  EXPECT_EQ(bench.state.position, 2u);
  EXPECT_EQ(bench.move.base->version.step(), 0u);
  EXPECT_EQ(bench.move.sums.counts, without.move.sums.counts);
  for (Bench* each : {&bench, &without}) each->Commit(0, Other(*each));
  EXPECT_EQ(bench.state.position, 3u);
  EXPECT_EQ(bench.state.layers[0].balance.bias, without.state.layers[0].balance.bias);
  EXPECT_EQ(bench.state.layers[1].balance.ema, without.state.layers[1].balance.ema);
}

TEST(MoveTest, ASkippedStepThatIsAppliedJoins) {
  v1::JobSpec spec = SpecWithPreset("evenkeel");
  spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
  Bench bench(spec);
  bench.Commit(0, Some(bench));
  bench.Commit(0, Other(bench), /*ok=*/false);
  EXPECT_EQ(bench.move.sums.counts, Both(bench).counts);
  EXPECT_EQ(bench.state.position, 1u);
}

TEST(MoveTest, PendingCountsAreThoseOfTheBase) {
  v1::JobSpec spec = SpecWithPreset("evenkeel");
  spec.mutable_balance()->set_min_tokens(9);
  Bench bench(spec);
  bench.CommitOnTime(Some(bench));  // 3 tokens at layer "a"
  bench.CommitOnTime(Some(bench));  // 6, routed with version 1
  EXPECT_EQ(bench.state.layers[0].balance.tokens, 6u);
  bench.Commit(1, Some(bench));  // 3 of the base, and 6 of the move
  EXPECT_EQ(bench.state.layers[0].balance.last_reason, balance::UpdateReason::kMoved);
  EXPECT_EQ(bench.state.layers[0].balance.tokens, 0u);
  EXPECT_EQ(bench.state.layers[1].balance.last_reason, balance::UpdateReason::kBelowMinTokens);
  EXPECT_EQ(bench.state.layers[1].balance.tokens, 6u) << "not those of the move twice";
}

// ---------------------------------------------------------------------------------------------------------------------
// The stored form

TEST(MoveTest, IsStoredWithTheStateAndComesBack) {
  Bench bench(SpecWithPreset("evenkeel"));
  bench.CommitOnTime(Some(bench));
  bench.CommitOnTime(Some(bench));
  for (const int steps : {1, 2, 3}) {
    const v1::Move stored = ToProto(bench.plan, bench.state, bench.move);
    EXPECT_EQ(stored.routed_with().step(), 1u);
    EXPECT_EQ(stored.base_step(), 1u);
    for (const v1::LayerSums& layer : stored.layers()) {
      EXPECT_EQ(layer.counts().empty(), steps == 1) << "a step alone has its counts in the state";
    }
    const auto restored = MoveFromProto(bench.plan, bench.state, stored, bench.move.base);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ(restored->sums.counts, bench.move.sums.counts);
    EXPECT_EQ(restored->sums.tokens, bench.move.sums.tokens);
    EXPECT_EQ(restored->routed_with.step(), 1u);
    EXPECT_EQ(restored->routed_with.epoch(), 1u);
    bench.Commit(1, Other(bench));
  }
}

TEST(MoveTest, RefusesWhatDoesNotFit) {
  Bench bench(SpecWithPreset("evenkeel"));
  bench.CommitOnTime(Some(bench));
  v1::Move stored = ToProto(bench.plan, bench.state, bench.move);
  stored.mutable_layers(1)->add_counts(1);
  const absl::Status counts = MoveFromProto(bench.plan, bench.state, stored, bench.move.base).status();
  EXPECT_EQ(counts.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(counts.message()), HasSubstr("the move of layer \"b\" has 1 counts for 3 experts"));
  stored.mutable_layers()->RemoveLast();
  const absl::Status layers = MoveFromProto(bench.plan, bench.state, stored, bench.move.base).status();
  EXPECT_EQ(layers.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(layers.message()), HasSubstr("the move has 1 layers, the spec 2"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Why: an outage of 50 steps, in which the router drifts and the bias stays

// One with which both rules follow the drift, so that 50 times a step is far too much. (At a rate too low to keep up, a
// wound-up bias may land nearer by chance.)
constexpr double kRate = 0.02;
constexpr int kExperts = 16;
constexpr int kTopK = 2;
constexpr int kTokens = 2048;
constexpr uint64_t kBefore = 200;
constexpr uint64_t kOutage = 50;

// Counts of one step of a router whose preferences drift, by sigmoid scores and `bias`.
std::vector<uint64_t> Route(uint64_t step, const std::vector<float>& bias) {
  synthetic::SyntheticOptions options;
  options.num_experts = kExperts;
  options.skew = 1;
  options.drift = 0.0005;
  static const synthetic::SyntheticLoad load = synthetic::SyntheticLoad::Create(options).value();
  std::vector<float> logits(kTokens * kExperts);
  load.FillLogits({step, /*contributor=*/0, /*first=*/0, kTokens}, /*layer=*/0, logits.data(), kExperts);
  std::vector<uint64_t> counts(kExperts);
  std::vector<int> order(kExperts);
  std::vector<float> biased(kExperts);
  for (int token = 0; token < kTokens; ++token) {
    for (int e = 0; e < kExperts; ++e) biased[e] = 1 / (1 + std::exp(-logits[token * kExperts + e])) + bias[e];
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + kTopK, order.end(),
                      [&](int a, int b) { return biased[a] != biased[b] ? biased[a] > biased[b] : a < b; });
    for (int slot = 0; slot < kTopK; ++slot) ++counts[order[slot]];
  }
  return counts;
}

struct Outage {
  double before = 0;    // max violation of the first step after it, had the bias stayed
  double after = 0;     // with the bias that it leaves
  double distance = 0;  // of that bias from the one before, the largest over the experts
};

Outage RunOutage(const std::string& preset, bool each_on_its_own) {
  v1::JobSpec spec = SpecWithPreset(preset);
  spec.mutable_balance()->set_rate(kRate);
  spec.clear_layers();
  *spec.add_layers() = TestLayer("layer", kExperts, kTopK);
  Bench bench(spec);
  const auto bias = [&] { return bench.state.layers[0].balance.bias; };
  for (uint64_t step = 1; step <= kBefore; ++step) {
    bench.CommitOnTime(Sums(bench.plan, Route(step, bias()), {kTokens}));
  }
  const std::vector<float> held = bias();
  for (uint64_t step = kBefore + 1; step <= kBefore + kOutage; ++step) {
    const StepSums sums = Sums(bench.plan, Route(step, held), {kTokens});
    each_on_its_own ? bench.CommitOnTime(sums) : bench.Commit(kBefore, sums);
  }
  Outage outage;
  const uint64_t next = kBefore + kOutage + 1;
  outage.before = balance::ComputeLoadMetrics(Route(next, held)).max_violation;
  outage.after = balance::ComputeLoadMetrics(Route(next, bias())).max_violation;
  for (int e = 0; e < kExperts; ++e) {
    outage.distance = std::max<double>(outage.distance, std::abs(bias()[e] - held[e]));
  }
  std::cout << preset << (each_on_its_own ? ", each step on its own" : ", all steps together") << ": max violation "
            << outage.before << " if the bias stays, " << outage.after << " as it is left, " << outage.distance
            << " away\n";
  return outage;
}

TEST(OutageTest, StaleStepsWindTheBiasUpUnlessTheyMoveItOnce) {
  for (const std::string preset : {"loss_free", "evenkeel"}) {
    const Outage wound_up = RunOutage(preset, /*each_on_its_own=*/true);
    const Outage once = RunOutage(preset, /*each_on_its_own=*/false);
    EXPECT_GT(wound_up.distance, 10 * once.distance) << preset;
    EXPECT_GT(wound_up.after, 2 * once.after) << preset;
    EXPECT_LT(once.after, 1.5 * once.before) << preset;
  }
}

}  // namespace
}  // namespace evenkeel::job
