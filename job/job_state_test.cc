#include "job/job_state.h"

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"
#include "kernels/balance/bias_hash.h"
#include "kernels/balance/update.h"

namespace evenkeel::job {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::JobSpec SpecWithPreset(const std::string& preset) {
  v1::JobSpec spec = TestSpec(2);
  spec.mutable_balance()->set_preset(preset);
  return spec;
}

v1::JobSpec StreamsWithPreset(const std::string& preset) {
  v1::JobSpec spec = TestSpecWithStreams(2);
  spec.mutable_balance()->set_preset(preset);
  return spec;
}

// 6 assignments at "a", 2 at "b".
StepSums SomeSums(const JobPlan& plan) {
  StepSums sums(plan.layers);
  sums.counts = {4, 1, 1, 0, /**/ 2, 0, 0};
  sums.tokens = {3, 2};
  return sums;
}

CommitInputs Inputs(uint64_t step, bool ok = true) {
  CommitInputs inputs;
  inputs.version.set_epoch(1);
  inputs.version.set_step(step);
  inputs.ok = ok;
  inputs.participants = {0, 1};
  return inputs;
}

std::vector<float> AllBias(const JobState& state) {
  std::vector<float> bias;
  for (const JobState::Layer& layer : state.layers) {
    bias.insert(bias.end(), layer.balance.bias.begin(), layer.balance.bias.end());
  }
  return bias;
}

std::vector<balance::UpdateReason> Reasons(const JobState& state) {
  std::vector<balance::UpdateReason> reasons;
  for (const JobState::Layer& layer : state.layers) reasons.push_back(layer.balance.last_reason);
  return reasons;
}

TEST(JobStateTest, StartsWithABiasOfZero) {
  const JobPlan plan = TestPlan(TestSpec(2));
  const JobState state = InitialJobState(plan);
  EXPECT_EQ(state.version.epoch(), 1u);
  EXPECT_EQ(state.version.step(), 0u);
  EXPECT_EQ(state.position, 0u);
  EXPECT_THAT(state.participants, IsEmpty());
  ASSERT_EQ(state.layers.size(), 2u);
  EXPECT_EQ(AllBias(state), std::vector<float>(7));
  EXPECT_THAT(state.layers[1].last_counts, ElementsAre(0, 0, 0));

  const auto reply = CommittedVersionOf(plan, state);
  EXPECT_EQ(reply->valid_from(), 1u);
  EXPECT_TRUE(reply->ok());
  EXPECT_EQ(reply->bias_size(), 7);
  EXPECT_THAT(reply->reasons(), Each(v1::UpdateReason::NEVER));
}

TEST(JobStateTest, TheInitialBiasIsValidFromTheFirstStep) {
  v1::JobSpec spec = TestSpec(2);
  for (const int lag : {0, 1}) {
    spec.set_lag(lag);
    const JobPlan plan = TestPlan(spec);
    EXPECT_EQ(CommittedVersionOf(plan, InitialJobState(plan))->valid_from(), 1u);
  }
}

TEST(JobStateTest, CommitRunsTheRuleOnEachLayer) {
  const JobPlan plan = TestPlan(SpecWithPreset("evenkeel"));
  JobState state = InitialJobState(plan);
  std::vector<balance::LayerState> expected = {balance::InitialState(4), balance::InitialState(3)};
  for (uint64_t step = 1; step <= 5; ++step) {
    CommitStep(plan, Inputs(step), SomeSums(plan), &state);
    balance::Update(plan.balance[0], {step, step}, {4, 1, 1, 0}, 3, &expected[0]);
    balance::Update(plan.balance[1], {step, step}, {2, 0, 0}, 2, &expected[1]);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(state.layers[i].balance.bias, expected[i].bias);
      EXPECT_EQ(state.layers[i].balance.ema, expected[i].ema);
      EXPECT_EQ(state.layers[i].balance.ema_product, expected[i].ema_product);
      EXPECT_EQ(state.layers[i].balance.last_update, step);
    }
    EXPECT_EQ(state.position, step);
    EXPECT_EQ(state.version.step(), step);
    EXPECT_THAT(state.participants, ElementsAre(0, 1));
  }
  EXPECT_THAT(state.layers[0].last_counts, ElementsAre(4, 1, 1, 0));
  EXPECT_EQ(state.layers[0].last_tokens, 3u);
  EXPECT_LT(state.layers[0].balance.bias[0], 0);
  EXPECT_GT(state.layers[0].balance.bias[3], 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// Skipped steps and modes

TEST(JobStateTest, SkippedStepsDropTheirCounts) {
  v1::JobSpec spec = SpecWithPreset("evenkeel");
  spec.mutable_balance()->set_warmup_steps(1);
  spec.mutable_balance()->set_min_tokens(6);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);

  CommitStep(plan, Inputs(1, /*ok=*/false), SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), Each(balance::UpdateReason::kSkipped));
  EXPECT_EQ(state.position, 0u) << "a skipped step does not advance warm-up";
  EXPECT_FALSE(state.ok);
  EXPECT_EQ(state.version.step(), 1u);
  EXPECT_THAT(state.layers[0].last_counts, ElementsAre(4, 1, 1, 0)) << "recorded all the same";
  EXPECT_EQ(state.layers[0].balance.last_commit, 1u);

  CommitStep(plan, Inputs(2), SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), Each(balance::UpdateReason::kWarmUp));
  EXPECT_TRUE(state.ok);
  CommitStep(plan, Inputs(3), SomeSums(plan), &state);
  CommitStep(plan, Inputs(4, /*ok=*/false), SomeSums(plan), &state);
  EXPECT_EQ(state.layers[0].balance.tokens, 3u) << "pending tokens are those of step 3";
  EXPECT_EQ(AllBias(state), std::vector<float>(7));
  CommitStep(plan, Inputs(5), SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), ElementsAre(balance::UpdateReason::kMoved, balance::UpdateReason::kBelowMinTokens));
  EXPECT_EQ(state.position, 3u);
}

TEST(JobStateTest, SkippedStepsCountUnderThePolicyApply) {
  v1::JobSpec spec = SpecWithPreset("loss_free");
  spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);
  CommitStep(plan, Inputs(1, /*ok=*/false), SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), Each(balance::UpdateReason::kMoved));
  EXPECT_THAT(state.layers[1].balance.bias, ElementsAre(-1e-3f, 1e-3f, 1e-3f));
  EXPECT_FALSE(state.ok);
  EXPECT_EQ(state.position, 0u);
}

// It was taken, and advances warm-up; its counts are recorded, and enter nothing.
TEST(JobStateTest, Pitfall24ReplayedStepsMoveNothing) {
  v1::JobSpec spec = SpecWithPreset("evenkeel");
  spec.mutable_balance()->set_warmup_steps(1);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);
  CommitInputs replay = Inputs(1);
  replay.replayed = true;
  CommitStep(plan, replay, SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), Each(balance::UpdateReason::kReplayed));
  EXPECT_EQ(state.position, 1u);
  EXPECT_TRUE(state.ok);
  CommitStep(plan, Inputs(2), SomeSums(plan), &state);
  EXPECT_THAT(Reasons(state), Each(balance::UpdateReason::kMoved));

  const JobState before = state;
  replay.version.set_step(3);
  CommitStep(plan, replay, SomeSums(plan), &state);
  EXPECT_THAT(state.layers[0].last_counts, ElementsAre(4, 1, 1, 0));
  EXPECT_EQ(AllBias(state), AllBias(before));
  EXPECT_EQ(state.layers[0].balance.ema, before.layers[0].balance.ema);
  EXPECT_EQ(state.layers[0].balance.tokens, 0u);
  EXPECT_EQ(state.layers[0].balance.last_commit, 3u);
  EXPECT_EQ(state.layers[0].balance.last_update, 2u);
  EXPECT_THAT(CommittedVersionOf(plan, state)->reasons(), Each(v1::UpdateReason::REPLAYED));
  EXPECT_EQ(CommittedVersionOf(plan, state)->tokens(), 3u);
}

TEST(JobStateTest, ASkippedStepIsSkippedWhetherItWasReplayedOrNot) {
  for (const auto policy : {v1::JobSpec::SkipPolicy::DROP, v1::JobSpec::SkipPolicy::APPLY}) {
    v1::JobSpec spec = SpecWithPreset("evenkeel");
    spec.set_skip_policy(policy);
    const JobPlan plan = TestPlan(spec);
    JobState state = InitialJobState(plan);
    CommitInputs inputs = Inputs(1, /*ok=*/false);
    inputs.replayed = true;
    CommitStep(plan, inputs, SomeSums(plan), &state);
    EXPECT_THAT(Reasons(state), Each(policy == v1::JobSpec::SkipPolicy::DROP ? balance::UpdateReason::kSkipped
                                                                             : balance::UpdateReason::kReplayed));
    EXPECT_EQ(state.position, 0u);
    EXPECT_EQ(AllBias(state), std::vector<float>(7));
  }
}

TEST(JobStateTest, FrozenJobsSendABiasThatNeverMoves) {
  v1::JobSpec spec = SpecWithPreset("loss_free");
  spec.set_mode(v1::JobSpec::Mode::FROZEN);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);
  CommitStep(plan, Inputs(1), SomeSums(plan), &state);
  const auto reply = CommittedVersionOf(plan, state);
  EXPECT_THAT(reply->reasons(), Each(v1::UpdateReason::FROZEN));
  EXPECT_EQ(reply->bias_size(), 7);
  EXPECT_THAT(reply->bias(), Each(0.0f));
  EXPECT_EQ(reply->tokens(), 3u);
}

TEST(JobStateTest, ObservedJobsSendNoBias) {
  v1::JobSpec spec = SpecWithPreset("loss_free");
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);
  CommitStep(plan, Inputs(1), SomeSums(plan), &state);
  EXPECT_EQ(AllBias(state), std::vector<float>(7));
  const auto reply = CommittedVersionOf(plan, state);
  EXPECT_THAT(reply->reasons(), Each(v1::UpdateReason::OBSERVED));
  EXPECT_THAT(reply->bias(), IsEmpty());
  EXPECT_THAT(reply->layer_hashes(), IsEmpty());
  EXPECT_EQ(reply->state_hash(), 0u);
  EXPECT_THAT(reply->max_violation(), testing::SizeIs(2));
}

// ---------------------------------------------------------------------------------------------------------------------
// The reply

TEST(JobStateTest, TheReplySaysWhatTheCommitDid) {
  v1::JobSpec spec = SpecWithPreset("loss_free");
  spec.set_lag(1);
  const JobPlan plan = TestPlan(spec);
  JobState state = InitialJobState(plan);
  CommitInputs inputs = Inputs(8, /*ok=*/true);
  inputs.version.set_epoch(3);
  CommitStep(plan, inputs, SomeSums(plan), &state);

  const auto reply = CommittedVersionOf(plan, state);
  EXPECT_EQ(reply->version().epoch(), 3u);
  EXPECT_EQ(reply->version().step(), 8u);
  EXPECT_EQ(reply->valid_from(), 10u);
  EXPECT_TRUE(reply->ok());
  EXPECT_EQ(std::vector<float>(reply->bias().begin(), reply->bias().end()), AllBias(state));
  EXPECT_THAT(reply->layer_hashes(), ElementsAre(balance::HashBias(state.layers[0].balance.bias),
                                                 balance::HashBias(state.layers[1].balance.bias)));
  EXPECT_EQ(reply->state_hash(), StateHash(state));
  EXPECT_EQ(reply->state_hash(), balance::CombineHashes({reply->layer_hashes(0), reply->layer_hashes(1)}));
  EXPECT_THAT(reply->participants(), ElementsAre(0, 1));
  EXPECT_THAT(reply->reasons(), Each(v1::UpdateReason::MOVED));
  EXPECT_THAT(reply->max_violation(), ElementsAre((4 - 1.5f) / 1.5f, 2.0f));
  EXPECT_EQ(reply->durable_step(), 8u);
  EXPECT_EQ(reply->tokens(), 3u);
}

TEST(JobStateTest, TheReplyIsTheSameAfterARestart) {
  for (const std::string preset : {"loss_free", "torchtitan", "axolotl_noaux_tc", "evenkeel"}) {
    v1::JobSpec spec = SpecWithPreset(preset);
    spec.mutable_balance()->set_min_tokens(20);
    const JobPlan plan = TestPlan(spec);
    const ReferenceModel model(&plan, {/*seed=*/7, {{0, 1}, {0, 1}}, /*one_skip_in=*/4, /*scale=*/1});
    for (const JobState& state : model.Trajectory(12)) {
      v1::JobState stored;
      ASSERT_TRUE(stored.ParseFromString(ToProto(plan, state).SerializeAsString()));
      const absl::StatusOr<JobPlan> restored_plan = PlanStoredJob(stored.spec(), stored.fingerprint());
      ASSERT_TRUE(restored_plan.ok()) << restored_plan.status();
      const absl::StatusOr<JobState> restored = FromProto(*restored_plan, stored);
      ASSERT_TRUE(restored.ok()) << restored.status();
      EXPECT_EQ(CommittedVersionOf(*restored_plan, *restored)->SerializeAsString(),
                CommittedVersionOf(plan, state)->SerializeAsString());
      EXPECT_EQ(ToProto(*restored_plan, *restored).SerializeAsString(), ToProto(plan, state).SerializeAsString());
    }
  }
}

TEST(JobStateTest, RefusesStatesThatDoNotFit) {
  const JobPlan plan = TestPlan(TestSpec(2));
  const v1::JobState good = ToProto(plan, InitialJobState(plan));
  ASSERT_TRUE(FromProto(plan, good).ok());
  const auto refusal = [&](const std::function<void(v1::JobState*)>& spoil) {
    v1::JobState state = good;
    spoil(&state);
    const absl::Status status = FromProto(plan, state).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers()->RemoveLast(); }),
              HasSubstr("the state has 1 layers and streams, its spec 2"));
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers(0)->set_layer("x"); }),
              HasSubstr("layer \"x\" stream 0 does not fit the spec's layer \"a\" of 4 experts"));
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers(1)->add_bias(0); }), HasSubstr("layer \"b\""));
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers(1)->clear_ema(); }), HasSubstr("layer \"b\""));
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers(0)->add_pending_counts(1); }), HasSubstr("layer \"a\""));
  EXPECT_THAT(refusal([](v1::JobState* s) { s->mutable_layers(0)->clear_last_counts(); }), HasSubstr("layer \"a\""));
}

// ---------------------------------------------------------------------------------------------------------------------
// Against the reference

// Counts below 2^32 of a contributor that owns those rows.
void AddPayload(const v1::PushRequest& push, const LayerTable& layers, const std::vector<int>& owned, StepSums* sums) {
  int next = 0;
  int next_dispatched = 0;
  for (size_t i = 0; i < owned.size(); ++i) {
    const LayerTable::Row& layer = layers[owned[i]];
    sums->tokens[owned[i]] += push.valid_tokens(static_cast<int>(i));
    for (int e = 0; e < layer.num_experts; ++e) sums->counts[layer.offset + e] += push.routed().low(next++);
    if (layer.dispatched_offset < 0) continue;
    for (int e = 0; e < layer.num_experts; ++e) {
      sums->dispatched[layer.dispatched_offset + e] += push.dispatched().low(next_dispatched++);
    }
  }
  ASSERT_EQ(next_dispatched, push.dispatched().low_size());
  ASSERT_EQ(next, push.routed().low_size());
  ASSERT_EQ(push.routed().high_size(), 0);
}

TEST(JobStateTest, TrajectoriesAreThoseOfTheReference) {
  const std::string presets[] = {"loss_free", "torchtitan", "axolotl_noaux_tc", "evenkeel"};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    const bool has_streams = random() % 2 == 0;
    const std::string& preset = presets[random() % 4];
    v1::JobSpec spec = has_streams ? StreamsWithPreset(preset) : SpecWithPreset(preset);
    spec.set_mode(random() % 8 == 0 ? v1::JobSpec::Mode::FROZEN : v1::JobSpec::Mode::BALANCE);
    if (random() % 2 == 0) spec.set_skip_policy(v1::JobSpec::SkipPolicy::APPLY);
    spec.mutable_balance()->set_warmup_steps(random() % 3);
    spec.mutable_balance()->set_min_tokens(random() % 2 == 0 ? 0 : random() % 100);
    const JobPlan plan = TestPlan(spec);
    const std::vector<std::vector<int>> owned = has_streams
                                                    ? std::vector<std::vector<int>>{{0, 1, 2, 3}, {0, 1, 3}, {2}}
                                                    : std::vector<std::vector<int>>{{0, 1}, {0}, {1}};
    ReferenceModel::Options options = {seed, owned, /*one_skip_in=*/random() % 2 * 9, /*scale=*/1};
    options.one_replay_in = random() % 2 * 9;
    const ReferenceModel model(&plan, options);

    const std::vector<JobState> trajectory = model.Trajectory(20);
    JobState state = InitialJobState(plan);
    for (uint64_t step = 1; step <= 20; ++step) {
      StepSums sums(plan.layers);
      CommitInputs inputs = Inputs(step);
      inputs.version.clear_epoch();
      inputs.participants = {0, 1, 2};
      for (int contributor : {2, 0, 1}) {
        const v1::PushRequest push = model.Payload(contributor, step);
        inputs.ok = inputs.ok && push.ok();
        inputs.replayed = inputs.replayed || push.replayed();
        AddPayload(push, plan.layers, owned[contributor], &sums);
      }
      CommitStep(plan, inputs, sums, &state);
      ASSERT_EQ(ToProto(plan, state).SerializeAsString(), ToProto(plan, trajectory[step]).SerializeAsString())
          << "step " << step;
    }
  }
}

TEST(JobStateTest, StreamsMoveByTheirOwnCounts) {
  const JobPlan plan = TestPlan(StreamsWithPreset("loss_free"));
  JobState state = InitialJobState(plan);
  StepSums sums(plan.layers);
  sums.counts = {3, 1, 1, 1, /**/ 1, 1, 1, 3, /**/ 0, 0, 0, /**/ 2, 2, 2, 2, 2};
  sums.tokens = {3, 3, 0, 5};
  CommitStep(plan, Inputs(1), sums, &state);
  const float up = 1e-3f;
  EXPECT_THAT(state.layers[0].balance.bias, ElementsAre(-up, up, up, up));
  EXPECT_THAT(state.layers[1].balance.bias, ElementsAre(up, up, up, -up));
  EXPECT_THAT(state.layers[2].balance.bias, Each(0.0f));
  EXPECT_THAT(state.layers[3].balance.bias, Each(0.0f));
  const auto reply = CommittedVersionOf(plan, state);
  EXPECT_EQ(reply->bias_size(), 16);
  EXPECT_EQ(reply->layer_hashes_size(), 4);
  EXPECT_EQ(reply->max_violation(1), 1.0f);
  // Of "a", whose streams have 6 together.
  EXPECT_EQ(reply->tokens(), 6u);
}

TEST(JobStateTest, WhatWasDispatchedIsRemembered) {
  const JobPlan plan = TestPlan(TestSpecWithStreams(2));
  JobState state = InitialJobState(plan);
  EXPECT_THAT(state.layers[0].last_dispatched, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(state.layers[2].last_dispatched, IsEmpty());
  StepSums sums(plan.layers);
  sums.counts = {3, 1, 1, 1, /**/ 1, 1, 1, 3, /**/ 2, 0, 0, /**/ 2, 2, 2, 2, 2};
  sums.tokens = {3, 3, 2, 5};
  sums.dispatched = {2, 1, 1, 1, /**/ 1, 1, 0, 2, /**/ 2, 2, 2, 2, 1};
  // They are the step's own, even where the step moves nothing.
  CommitStep(plan, Inputs(1, /*ok=*/false), sums, &state);
  EXPECT_THAT(state.layers[0].last_dispatched, ElementsAre(2, 1, 1, 1));
  EXPECT_THAT(state.layers[1].last_dispatched, ElementsAre(1, 1, 0, 2));
  EXPECT_THAT(state.layers[2].last_dispatched, IsEmpty());
  EXPECT_THAT(state.layers[3].last_dispatched, ElementsAre(2, 2, 2, 2, 1));

  v1::JobState stored = ToProto(plan, state);
  EXPECT_EQ(stored.layers(1).layer(), "a");
  EXPECT_EQ(stored.layers(1).stream(), 1u);
  const absl::StatusOr<JobState> restored = FromProto(plan, stored);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(ToProto(plan, *restored).SerializeAsString(), stored.SerializeAsString());

  v1::JobState damaged = stored;
  damaged.mutable_layers(1)->set_stream(0);
  EXPECT_THAT(std::string(FromProto(plan, damaged).status().message()),
              HasSubstr("layer \"a\" stream 0 does not fit the spec's layer \"a\" stream 1 of 4 experts"));
  damaged = stored;
  damaged.mutable_layers(3)->mutable_last_dispatched()->RemoveLast();
  EXPECT_FALSE(FromProto(plan, damaged).ok());
  damaged = stored;
  damaged.mutable_layers(2)->add_last_dispatched(1);
  EXPECT_FALSE(FromProto(plan, damaged).ok());
}

TEST(JobStateTest, UpdateReasonsHaveTheSameNamesOnTheWire) {
  const auto* reasons = v1::UpdateReason::Kind_descriptor();
  ASSERT_EQ(reasons->value_count(), static_cast<int>(balance::UpdateReason::kHalted) + 1);
  for (int i = 0; i < reasons->value_count(); ++i) {
    ASSERT_EQ(reasons->value(i)->number(), i);
    const std::string words = absl::StrReplaceAll(absl::AsciiStrToLower(reasons->value(i)->name()), {{"_", " "}});
    EXPECT_EQ(words, balance::ReasonName(static_cast<balance::UpdateReason>(i)));
  }
}

}  // namespace
}  // namespace evenkeel::job
