// What people and tools are told of a job.

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/balance/noise_floor.h"
#include "server/core/job_bench.h"

namespace evenkeel::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(JobDescriptionTest, ANewJob) {
  JobBench bench(job::TestSpec(2));
  const v1::JobSummary summary = bench.job().Summary();
  EXPECT_EQ(summary.name(), "job");
  EXPECT_EQ(summary.version().epoch(), 1u);
  EXPECT_EQ(summary.version().step(), 0u);
  EXPECT_EQ(summary.epoch(), 1u);
  EXPECT_EQ(summary.open_step(), 1u);
  EXPECT_EQ(summary.contributors(), 2);
  EXPECT_EQ(summary.joined(), 0);
  EXPECT_EQ(summary.layers(), 2);
  EXPECT_EQ(summary.experts(), 7);
  EXPECT_EQ(summary.max_violation(), 0);
}

TEST(JobDescriptionTest, ContributorsComeAndGo) {
  JobBench bench(job::TestSpec(2));
  v1::JoinRequest request = bench.JoinOf(1);
  request.mutable_worker()->set_device("NVIDIA H200");
  ASSERT_TRUE(bench.Join(request).ok());
  bench.Push(1, 1);
  v1::DescribeJobResponse description = bench.job().Describe();
  EXPECT_EQ(description.summary().joined(), 1);
  ASSERT_EQ(description.contributors_size(), 2);
  EXPECT_EQ(description.contributors(0).contributor(), 0);
  EXPECT_EQ(description.contributors(0).incarnation(), 0u);
  EXPECT_FALSE(description.contributors(0).joined());
  EXPECT_EQ(description.contributors(1).contributor(), 1);
  EXPECT_EQ(description.contributors(1).incarnation(), JobBench::Usual(1));
  EXPECT_THAT(description.contributors(1).ranks(), ElementsAre(1));
  EXPECT_TRUE(description.contributors(1).joined());
  EXPECT_TRUE(description.contributors(1).pushed());
  EXPECT_EQ(description.contributors(1).worker().device(), "NVIDIA H200");

  bench.Restart();
  description = bench.job().Describe();
  EXPECT_EQ(description.summary().joined(), 0);
  EXPECT_EQ(description.summary().epoch(), 2u);
  EXPECT_EQ(description.contributors(1).incarnation(), JobBench::Usual(1));
  EXPECT_FALSE(description.contributors(1).joined() || description.contributors(1).pushed());

  ASSERT_TRUE(bench.Leave(1, JobBench::Usual(1)).ok());
  description = bench.job().Describe();
  EXPECT_EQ(description.contributors(1).incarnation(), 0u);
  EXPECT_THAT(description.contributors(1).ranks(), IsEmpty());
}

TEST(JobDescriptionTest, TheFleetIsWhatItsContributorsAre) {
  v1::JobSpec spec = job::TestSpec(3);
  spec.set_missing_policy(v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  JobBench bench(spec);
  EXPECT_EQ(bench.job().Fleet().ranks, 0) << "nobody has told";
  for (int i = 0; i < 3; ++i) {
    v1::JoinRequest request = bench.JoinOf(i);
    request.mutable_worker()->set_device(absl::StrCat("device ", i));
    ASSERT_TRUE(bench.Join(request).ok());
  }
  bench.PushAllUntil(2);
  Fleet fleet = bench.job().Fleet();
  EXPECT_EQ(fleet.ranks, 3);
  EXPECT_EQ(fleet.ranks_reporting, 3);
  EXPECT_EQ(fleet.lag_steps, 0u);
  EXPECT_FALSE(fleet.has_figures);
  ASSERT_EQ(fleet.workers.size(), 3u);
  EXPECT_EQ(fleet.workers[2]->device(), "device 2");

  // Contributor 1 stands still: two steps are committed without it.
  for (uint64_t step = 3; step <= 4; ++step) {
    bench.Push(0, step);
    bench.Push(2, step);
    bench.Wait(absl::Minutes(11));
  }
  fleet = bench.job().Fleet();
  EXPECT_EQ(bench.job().committed_step(), 4u);
  EXPECT_EQ(fleet.ranks_reporting, 2);
  EXPECT_EQ(fleet.lag_steps, 2u);

  ASSERT_TRUE(bench.Leave(1, JobBench::Usual(1)).ok());
  fleet = bench.job().Fleet();
  EXPECT_EQ(fleet.lag_steps, 0u);
  EXPECT_EQ(fleet.workers.size(), 2u);
}

TEST(JobDescriptionTest, TheFiguresOfAFleetAreTheMostAndTheSumOfWhatIsLost) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  Effects effects;
  for (int i = 0; i < 2; ++i) {
    v1::HeartbeatRequest beat;
    beat.set_contributor(i);
    beat.set_incarnation(JobBench::Usual(i));
    beat.set_epoch(bench.job().epoch());
    beat.mutable_figures()->set_staleness(3 - i);
    beat.mutable_figures()->set_undelivered_steps(1 + i);
    beat.mutable_figures()->set_lost_steps(10 + i);
    beat.mutable_figures()->set_max_commit_host_ns(1000 * i);
    ASSERT_TRUE(bench.job().Heartbeat(absl::UnixEpoch(), beat, &effects).ok());
  }
  const Fleet fleet = bench.job().Fleet();
  ASSERT_TRUE(fleet.has_figures);
  EXPECT_EQ(fleet.figures.staleness(), 3u);
  EXPECT_EQ(fleet.figures.undelivered_steps(), 2u);
  EXPECT_EQ(fleet.figures.lost_steps(), 21u);
  EXPECT_EQ(fleet.figures.max_commit_host_ns(), 1000u);
}

TEST(JobDescriptionTest, TheSummaryTellsHowStaleTheLastCommitWas) {
  JobBench bench(job::TestSpec(1));
  bench.JoinAll();
  bench.PushAllUntil(3);
  EXPECT_EQ(bench.job().Summary().staleness(), 0u);
  v1::PushRequest push = bench.PushOf(0, 4);
  push.mutable_routed_with()->set_step(1);
  bench.Push(push);
  EXPECT_EQ(bench.job().Summary().staleness(), 2u);
  bench.Restart();
  EXPECT_EQ(bench.job().Summary().staleness(), 2u);
}

double DeviationOf(const std::vector<float>& values) {
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double mean = sum / static_cast<double>(values.size());
  return std::sqrt(squares / static_cast<double>(values.size()) - mean * mean);
}

TEST(JobDescriptionTest, LayersShowTheLastCommit) {
  JobBench bench(job::TestSpec(2));
  bench.JoinAll();
  bench.PushAllUntil(3);
  const job::JobState state = bench.model().Trajectory(3).back();
  const v1::DescribeJobResponse overview = bench.job().Overview();
  EXPECT_FALSE(overview.has_effective());
  EXPECT_THAT(overview.contributors(), IsEmpty());
  EXPECT_THAT(overview.layers(), IsEmpty());
  const v1::DescribeJobResponse description = bench.job().Describe();
  ASSERT_EQ(description.layers_size(), 2);
  double sum = 0;
  for (int i = 0; i < 2; ++i) {
    const v1::LayerStatus& layer = description.layers(i);
    const job::JobState::Layer& expected = state.layers[i];
    const balance::LoadMetrics load = balance::ComputeLoadMetrics(expected.last_counts);
    EXPECT_EQ(layer.name(), bench.plan().layers[i].name);
    EXPECT_EQ(layer.num_experts(), bench.plan().layers[i].num_experts);
    EXPECT_EQ(layer.top_k(), bench.plan().layers[i].top_k);
    EXPECT_EQ(layer.last_reason(), v1::UpdateReason::MOVED);
    EXPECT_EQ(layer.last_update(), 3u);
    EXPECT_EQ(layer.max_violation(), load.max_violation);
    EXPECT_EQ(layer.min_violation(), load.min_violation);
    EXPECT_EQ(layer.avg_violation(), load.avg_violation);
    EXPECT_EQ(layer.coefficient_of_variation(), load.cv);
    EXPECT_EQ(layer.normalized_entropy(), load.entropy);
    EXPECT_EQ(layer.dead_experts(), load.dead);
    EXPECT_EQ(layer.starved_experts(), load.starved);
    EXPECT_EQ(layer.bias_min(), *std::min_element(expected.balance.bias.begin(), expected.balance.bias.end()));
    EXPECT_EQ(layer.bias_max(), *std::max_element(expected.balance.bias.begin(), expected.balance.bias.end()));
    EXPECT_LT(layer.bias_min(), layer.bias_max());
    EXPECT_NEAR(layer.bias_stddev(), DeviationOf(expected.balance.bias), 1e-12);
    EXPECT_EQ(layer.noise_floor(), balance::NoiseFloor(layer.num_experts(), layer.top_k(), expected.last_tokens));
    EXPECT_GT(layer.noise_floor(), 0);
    sum += static_cast<float>(load.max_violation);
  }
  EXPECT_EQ(description.summary().max_violation(), sum / 2);
  EXPECT_EQ(description.summary().state_hash(), job::StateHash(state));
}

// Dropped tokens are counted, and shown.
TEST(JobDescriptionTest, Pitfall10DroppedTokensAreShownWithinAStep) {
  JobBench bench(job::TestSpecWithStreams(1));
  bench.JoinAll();
  v1::DescribeJobResponse description = bench.job().Describe();
  for (const v1::LayerStatus& layer : description.layers()) EXPECT_FALSE(layer.has_drop_rate());
  EXPECT_EQ(description.summary().layers(), 3);
  EXPECT_EQ(description.summary().experts(), 16);

  v1::PushRequest push = bench.PushOf(0, 1);
  *push.mutable_valid_tokens() = {};
  push.clear_short_slots();
  for (const uint64_t tokens : {4, 0, 2, 4}) push.add_valid_tokens(tokens);
  *push.mutable_routed() = job::PackCounts({4, 4, 0, 0, /**/ 0, 0, 0, 0, /**/ 2, 0, 0, /**/ 4, 1, 1, 1, 1});
  *push.mutable_dispatched() = job::PackCounts({3, 3, 0, 0, /**/ 0, 0, 0, 0, /**/ 4, 1, 1, 1, 1});
  bench.Push(push);
  description = bench.job().Describe();
  ASSERT_EQ(description.layers_size(), 4);
  EXPECT_EQ(description.layers(0).drop_rate(), 0.25);
  EXPECT_EQ(description.layers(0).stream(), 0u);
  EXPECT_EQ(description.layers(1).name(), "a");
  EXPECT_EQ(description.layers(1).stream(), 1u);
  EXPECT_FALSE(description.layers(1).has_drop_rate());  // nothing was routed
  EXPECT_FALSE(description.layers(2).has_drop_rate());  // it does not tell
  EXPECT_TRUE(description.layers(3).has_drop_rate());
  EXPECT_EQ(description.layers(3).drop_rate(), 0);

  // The rule uses what was routed: both experts of the first layer had 4, and 2 more had none.
  EXPECT_LT(description.layers(0).bias_min(), 0);
  EXPECT_EQ(description.layers(0).max_violation(), 1);

  bench.Restart();
  EXPECT_EQ(bench.job().Describe().layers(0).drop_rate(), 0.25);
}

TEST(JobDescriptionTest, TheWholeDescriptionHasTheSpecToo) {
  JobBench bench(job::TestSpec(1));
  const v1::DescribeJobResponse description = bench.job().Describe();
  EXPECT_EQ(description.effective().SerializeAsString(), bench.plan().effective.SerializeAsString());
  EXPECT_EQ(description.layers_size(), 2);
  EXPECT_EQ(description.layers(0).last_reason(), v1::UpdateReason::NEVER);
}

}  // namespace
}  // namespace evenkeel::core
