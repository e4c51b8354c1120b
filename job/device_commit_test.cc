// CommitStep(), and what a GPU runs in its place where there is no coordinator: the same bits, from the sums of a step
// alone.

#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "job/job_state.h"
#include "job/test_messages.h"
#include "kernels/balance/cuda/flat_job.h"
#include "kernels/balance/cuda/flat_layer_update.h"
#include "kernels/balance/cuda/next_step_buffers.h"
#include "kernels/balance/cuda/take_next_step.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/emulated_block.h"

namespace evenkeel::job {
namespace {

using v1::JobSpec;

constexpr int kThreads = 4;
constexpr uint64_t kSteps = 40;

// Layers of 4 experts and of 3, whose schedules end before the steps do.
JobPlan Plan(JobSpec::SkipPolicy::Kind skip_policy, JobSpec::Mode::Kind mode) {
  using Kind = balance::Schedule::Kind;
  JobSpec spec = TestSpec(1);
  spec.set_skip_policy(skip_policy);
  spec.set_mode(mode);
  JobPlan plan = TestPlan(spec);
  plan.balance[0].warmup_steps = 3;
  plan.balance[0].schedule = {Kind::kCosine, 4, 25, 0.25, {}};
  plan.balance[1].rule = balance::Rule::kSign;
  plan.balance[1].min_tokens = 40;
  plan.balance[1].schedule = {Kind::kSteps, 0, 0, 0, {{7, 0.5}, {20, 2.0}}};
  return plan;
}

balance::FlatBuffers InitialBuffers(const JobPlan& plan) {
  balance::FlatBuffers flat;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const LayerTable::Row& layer = plan.layers[i];
    flat.layers.push_back({layer.offset, balance::MakeLayerRule(plan.balance[i], layer.num_experts)});
  }
  flat.bias.resize(plan.layers.total_experts());
  flat.ema.resize(plan.layers.total_experts());
  flat.pending.resize(plan.layers.total_experts());
  flat.scalars.resize(plan.layers.size());
  flat.refused.resize(plan.layers.size());
  return flat;
}

StepSums RandomSums(const JobPlan& plan, std::mt19937_64* random) {
  StepSums sums(plan.layers);
  for (uint64_t& count : sums.counts) count = (*random)() % 100;
  for (uint64_t& tokens : sums.tokens) tokens = (*random)() % 30;
  return sums;
}

void Run(uint64_t seed, const balance::NextStep& next, const balance::FlatUpdate& update) {
  ShuffledBlock<kThreads, balance::NoMemory> block(seed);
  balance::TakeNextStep(block, next);
  for (int i = 0; i < update.num_layers; ++i) {
    ShuffledBlock<kThreads, balance::BlockMemory<kThreads>> block(seed + i);
    balance::UpdateFlatLayer(block, update, i);
  }
}

template <typename Value>
std::vector<Value> Part(const std::vector<Value>& all, const LayerTable::Row& layer) {
  return {all.begin() + layer.offset, all.begin() + layer.offset + layer.num_experts};
}

void ExpectSame(const JobPlan& plan, const balance::FlatBuffers& flat, const JobState& want) {
  for (int i = 0; i < plan.layers.size(); ++i) {
    const balance::LayerState& layer = want.layers[i].balance;
    EXPECT_EQ(Part(flat.bias, plan.layers[i]), layer.bias);
    EXPECT_EQ(Part(flat.ema, plan.layers[i]), layer.ema);
    EXPECT_EQ(Part(flat.pending, plan.layers[i]), layer.counts);
    EXPECT_EQ(flat.scalars[i].ema_product, layer.ema_product);
    EXPECT_EQ(flat.scalars[i].tokens, layer.tokens);
    EXPECT_EQ(flat.scalars[i].last_commit, layer.last_commit);
    EXPECT_EQ(flat.scalars[i].last_update, layer.last_update);
    EXPECT_EQ(flat.scalars[i].last_reason, layer.last_reason);
  }
}

// Steps of which one in five is skipped by some ranks, and one in five replayed.
void ExpectAsCommitStep(const JobPlan& plan, balance::Mode mode, uint64_t seed) {
  std::mt19937_64 random(seed);
  JobState want = InitialJobState(plan);
  balance::FlatBuffers flat = InitialBuffers(plan);
  balance::NextStepBuffers next(plan.balance);
  for (uint64_t step = 1; step <= kSteps && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << step);
    const StepSums sums = RandomSums(plan, &random);
    next.skips = random() % 5 == 0 ? 1 + random() % 8 : 0;
    next.replays = random() % 5 == 0 ? 1 + random() % 8 : 0;
    flat.counts = sums.counts;
    flat.tokens = sums.tokens;
    const bool apply_skipped = plan.effective.skip_policy() == JobSpec::SkipPolicy::APPLY;
    Run(seed, next.Next(apply_skipped, mode), next.Taking(flat.Update()));

    CommitInputs inputs;
    inputs.version.set_step(step);
    inputs.ok = next.skips == 0;
    inputs.replayed = next.replays > 0;
    CommitStep(plan, inputs, sums, &want);
    ExpectSame(plan, flat, want);
    EXPECT_EQ(next.place.step, step);
    EXPECT_EQ(next.place.position, want.position);
  }
  EXPECT_LT(want.position, kSteps);
}

TEST(DeviceCommitTest, IsCommitStep) {
  for (const auto skip_policy : {JobSpec::SkipPolicy::DROP, JobSpec::SkipPolicy::APPLY}) {
    for (int seed = 0; seed < 20; ++seed) {
      ExpectAsCommitStep(Plan(skip_policy, JobSpec::Mode::BALANCE), balance::Mode::kBalance, seed);
      ExpectAsCommitStep(Plan(skip_policy, JobSpec::Mode::FROZEN), balance::Mode::kFrozen, seed);
      ExpectAsCommitStep(Plan(skip_policy, JobSpec::Mode::OBSERVE), balance::Mode::kObserve, seed);
    }
  }
}

}  // namespace
}  // namespace evenkeel::job
