#include "server/history/history.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error_detail.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "kernels/balance/load_metrics.h"
#include "server/core/coordinator.h"

namespace evenkeel::history {
namespace {

constexpr unsigned kSeed = 11;
constexpr int kExperts = 7;  // 4 of layer "a", 3 of layer "b"
constexpr uint64_t kTokens = 12;

// A coordinator with job "job" and one contributor; what it writes is taken by a history.
class Bench {
 public:
  explicit Bench(const v1::JobSpec& spec = job::TestSpec(1)) : spec_(spec) { Join(1, /*rewind=*/false); }

  void Join(uint64_t next_step, bool rewind) {
    v1::JoinRequest request = job::TestJoin(spec_, 0, /*incarnation=*/next_step + (rewind ? 100 : 0), next_step);
    request.set_rewind(rewind);
    core::History states;
    for (const uint64_t step : coordinator_.StatesFor(absl::UnixEpoch(), request)) states.push_back(StateAfter(step));
    const auto response = coordinator_.Join(absl::UnixEpoch(), request, &effects_, states);
    ASSERT_TRUE(response.ok()) << response.status();
    epoch_ = response->epoch();
    incarnation_ = request.incarnation();
    routed_with_ = response->version().version();
    Flush();
  }

  // The step after the newest, with these counts of layers a (top 2) and b.
  void Push(const std::vector<uint64_t>& counts, bool ok = true) {
    v1::PushRequest push;
    push.set_job("job");
    push.set_incarnation(incarnation_);
    push.set_epoch(epoch_);
    push.set_step(routed_with_.step() + 1);
    push.set_ok(ok);
    *push.mutable_routed_with() = routed_with_;
    push.add_valid_tokens(kTokens);
    push.add_valid_tokens(kTokens);
    *push.mutable_routed() = job::PackCounts(counts);
    ASSERT_EQ(coordinator_.Push(absl::UnixEpoch(), /*call=*/1, &push, &effects_), core::PushResult::kAccepted)
        << effects_.answers.back().reply.status();
    routed_with_ = (*effects_.answers.back().reply)->version();
    Flush();
  }

  v1::GetHistoryResponse History(const std::string& layer = "", uint32_t stream = 0) {
    const absl::StatusOr<v1::GetHistoryResponse> response = Ask(layer, stream);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::GetHistoryResponse());
  }
  absl::StatusOr<v1::GetHistoryResponse> Ask(const std::string& layer, uint32_t stream) {
    v1::GetHistoryRequest request;
    request.set_job("job");
    request.set_layer(layer);
    request.set_stream(stream);
    return history.Describe(request);
  }

  v1::DescribeJobResponse Describe() {
    v1::DescribeJobResponse response = *coordinator_.Describe("job");
    DescribeTrends(*history.Look("job"), response.mutable_layers());
    return response;
  }

  core::Coordinator& coordinator() { return coordinator_; }
  core::Effects* effects() { return &effects_; }
  const v1::JobState& State() const { return *states_.back(); }
  const v1::JobState& StateAfter(uint64_t step) const {
    const auto found = std::find_if(states_.rbegin(), states_.rend(),
                                    [step](const auto& state) { return state->version().step() == step; });
    EXPECT_NE(found, states_.rend());
    return **found;
  }
  // Gives the history what was written.
  void Flush() {
    for (const core::Write& write : effects_.writes) {
      if (write.state != nullptr) states_.push_back(write.state);
    }
    history.Take(effects_.writes);
    effects_ = {};
  }

  history::History history;

 private:
  const v1::JobSpec spec_;
  core::Coordinator coordinator_{v1::CoordinatorConfig()};
  core::Effects effects_;
  std::vector<std::shared_ptr<const v1::JobState>> states_;
  uint64_t epoch_ = 0;
  uint64_t incarnation_ = 0;
  v1::Version routed_with_;
};

// Of layer a 2 * kTokens, of layer b kTokens.
std::vector<uint64_t> DrawCounts(std::mt19937_64* random) {
  std::vector<uint64_t> counts(kExperts);
  for (uint64_t token = 0; token < kTokens; ++token) {
    const uint64_t first = (*random)() % 4;
    ++counts[first];
    ++counts[(first + 1 + (*random)() % 3) % 4];
    ++counts[4 + (*random)() % 3];
  }
  return counts;
}

TEST(HistoryTest, TrendsAreThoseOfTheCommits) {
  std::mt19937_64 random(kSeed);
  Bench bench;
  EXPECT_FALSE(bench.Describe().layers(0).has_trend()) << "before the first step";
  std::vector<std::vector<uint64_t>> steps;
  for (int step = 1; step <= 100; ++step) {
    const std::vector<float> before(bench.State().layers(1).bias().begin(), bench.State().layers(1).bias().end());
    steps.push_back(DrawCounts(&random));
    bench.Push(steps.back());
    const v1::DescribeJobResponse description = bench.Describe();
    ASSERT_TRUE(description.layers(1).has_trend());
    const v1::LayerTrend& trend = description.layers(1).trend();
    ASSERT_GE(trend.window_steps(), static_cast<uint64_t>(std::min(step, 57)));
    ASSERT_LE(trend.window_steps(), static_cast<uint64_t>(std::min(step, 64)));
    std::vector<uint64_t> window(3);
    for (size_t i = steps.size() - trend.window_steps(); i < steps.size(); ++i) {
      for (int expert = 0; expert < 3; ++expert) window[expert] += steps[i][4 + expert];
    }
    const balance::LoadMetrics load = balance::ComputeLoadMetrics(window);
    EXPECT_EQ(trend.max_violation(), load.max_violation) << "seed " << kSeed;
    EXPECT_EQ(trend.min_violation(), load.min_violation);
    EXPECT_EQ(trend.avg_violation(), load.avg_violation);
    EXPECT_EQ(trend.dead_experts(), load.dead);
    float largest = 0;
    for (int i = 0; i < 3; ++i) largest = std::max(largest, std::abs(bench.State().layers(1).bias(i) - before[i]));
    EXPECT_EQ(trend.largest_update(), largest);
  }
}

TEST(HistoryTest, AnExpertWithoutATokenInTheWindowIsDeadAndOneWithFewIsStarved) {
  Bench bench;
  for (int step = 0; step < 5; ++step) bench.Push({6, 6, 6, 6, /**/ 12, 0, 0});
  bench.Push({6, 6, 6, 6, /**/ 11, 1, 0});
  const v1::DescribeJobResponse description = bench.Describe();
  EXPECT_EQ(description.layers(0).trend().dead_experts(), 0);
  EXPECT_EQ(description.layers(1).trend().dead_experts(), 1);
  EXPECT_EQ(description.layers(1).trend().starved_experts(), 2);
  EXPECT_EQ(description.layers(1).dead_experts(), 1) << "of the last step";
  EXPECT_EQ(description.layers(1).trend().window_steps(), 6u);
}

TEST(HistoryTest, SignFlipsAreSeenAndStepsThatMoveNothingAreNoUpdates) {
  v1::JobSpec spec = job::TestSpec(1);
  spec.mutable_balance()->set_preset("loss_free");
  Bench bench(spec);
  bench.Push({12, 0, 6, 6, /**/ 12, 0, 0});
  bench.Push({0, 12, 6, 6, /**/ 12, 0, 0});
  EXPECT_EQ(bench.Describe().layers(0).trend().sign_flip_ratio(), 1);
  EXPECT_EQ(bench.Describe().layers(1).trend().sign_flip_ratio(), 0);
  EXPECT_FLOAT_EQ(bench.Describe().layers(0).trend().largest_update(), 1e-3);
  bench.Push({0, 12, 6, 6, /**/ 12, 0, 0}, /*ok=*/false);
  EXPECT_EQ(bench.Describe().layers(0).trend().sign_flip_ratio(), 1);
  EXPECT_EQ(bench.Describe().layers(0).trend().window_steps(), 3u) << "its counts are counts";
  bench.Push({0, 12, 6, 6, /**/ 12, 0, 0});
  EXPECT_EQ(bench.Describe().layers(0).trend().sign_flip_ratio(), 0);
}

TEST(HistoryTest, TheTimelineHasTheViolationsAndTheBiasOfEachStep) {
  std::mt19937_64 random(kSeed);
  Bench bench;
  for (int step = 1; step <= 40; ++step) {
    const std::vector<uint64_t> counts = DrawCounts(&random);
    bench.Push(counts);
    const v1::GetHistoryResponse history = bench.History("b");
    ASSERT_EQ(history.stride(), 1u);
    ASSERT_EQ(history.steps_size(), step);
    ASSERT_EQ(history.rows_size(), 2);
    EXPECT_EQ(history.rows(1).layer(), "b");
    EXPECT_EQ(history.rows(1).num_experts(), 3);
    const balance::LoadMetrics load = balance::ComputeLoadMetrics(absl::MakeConstSpan(counts).subspan(4));
    EXPECT_FLOAT_EQ(history.max_violation(2 * step - 1), static_cast<float>(load.max_violation)) << "seed " << kSeed;
    EXPECT_FLOAT_EQ(history.avg_violation(2 * step - 1), static_cast<float>(load.avg_violation)) << "seed " << kSeed;
    ASSERT_EQ(history.bias_steps_size(), step);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(history.bias(3 * (step - 1) + i), bench.State().layers(1).bias(i));
  }
  EXPECT_EQ(bench.History().bias_steps_size(), 0) << "of no layer";
}

TEST(HistoryTest, ATargetIsWhatLoadsAreHeldAgainstFromItsStepOn) {
  Bench bench;
  bench.Push({6, 6, 6, 6, /**/ 8, 2, 2});
  EXPECT_FLOAT_EQ(bench.History().max_violation(1), 1);
  v1::UpdateConfigRequest request;
  request.set_job("job");
  request.set_from_step(3);
  v1::LayerOverride* change = request.add_overrides();
  change->set_layer("b");
  for (const float share : {.5F, .25F, .25F}) change->mutable_balance()->add_target(share);
  const auto changed = bench.coordinator().UpdateConfig(absl::UnixEpoch(), request, bench.effects());
  ASSERT_TRUE(changed.ok()) << changed.status();
  bench.Flush();
  bench.Push({6, 6, 6, 6, /**/ 8, 2, 2});
  bench.Push({6, 6, 6, 6, /**/ 8, 2, 2});
  const v1::GetHistoryResponse history = bench.History();
  ASSERT_EQ(history.steps_size(), 3) << "a change of the config is no new beginning";
  EXPECT_FLOAT_EQ(history.max_violation(3), 1);
  EXPECT_FLOAT_EQ(history.max_violation(5), 1.F / 3);
}

TEST(HistoryTest, ARewindBeginsAnew) {
  std::mt19937_64 random(kSeed);
  Bench bench;
  for (int step = 1; step <= 5; ++step) bench.Push(DrawCounts(&random));
  bench.Join(/*next_step=*/4, /*rewind=*/true);
  EXPECT_EQ(bench.History().steps_size(), 0);
  EXPECT_FALSE(bench.Describe().layers(0).has_trend());
  const std::vector<float> before(bench.State().layers(0).bias().begin(), bench.State().layers(0).bias().end());
  bench.Push({12, 4, 4, 4, /**/ 12, 0, 0});
  const v1::GetHistoryResponse history = bench.History("a");
  ASSERT_EQ(history.steps_size(), 1);
  EXPECT_EQ(history.steps(0), 4u);
  float largest = 0;
  for (int i = 0; i < 4; ++i) largest = std::max(largest, std::abs(history.bias(i) - before[i]));
  EXPECT_EQ(bench.Describe().layers(0).trend().largest_update(), largest);
}

TEST(HistoryTest, AStateThatIsPutInBeginsAnew) {
  std::mt19937_64 random(kSeed);
  Bench bench;
  for (int step = 1; step <= 3; ++step) bench.Push(DrawCounts(&random));
  v1::GetStateRequest get;
  get.set_job("job");
  v1::PutStateRequest put;
  put.set_job("job");
  *put.mutable_snapshot() = bench.coordinator().GetState(get, {bench.State()})->snapshot();
  const auto response = bench.coordinator().PutState(absl::UnixEpoch(), put, bench.effects());
  ASSERT_TRUE(response.ok()) << response.status();
  bench.Flush();
  EXPECT_EQ(bench.History().steps_size(), 0);
  EXPECT_EQ(bench.history.Look("job")->totals, std::vector<uint64_t>(kExperts));
}

TEST(HistoryTest, AJobThatExpiresIsForgottenAndBeginsWhereItWakes) {
  Bench bench;
  bench.Push({6, 6, 6, 6, /**/ 12, 0, 0});
  core::Write expires;
  expires.job = "job";
  expires.expires = true;
  bench.effects()->writes.push_back(expires);
  bench.Flush();
  EXPECT_FALSE(bench.history.Look("job").has_value());
  EXPECT_EQ(ReasonOf(bench.Ask("", 0).status()), v1::ErrorDetail::JOB_UNKNOWN);
  bench.history.Restore(bench.State());
  EXPECT_EQ(bench.History().steps_size(), 0);
  bench.Push({6, 6, 6, 6, /**/ 12, 0, 0});
  EXPECT_EQ(bench.History().steps(0), 2u);
}

TEST(HistoryTest, UnknownLayersAndStreamsAreNamed) {
  Bench bench;
  const absl::Status layer = bench.Ask("c", 0).status();
  EXPECT_EQ(ReasonOf(layer), v1::ErrorDetail::INVALID_FIELD);
  EXPECT_NE(layer.message().find("layer \"c\""), std::string::npos) << layer;
  const absl::Status stream = bench.Ask("b", 1).status();
  EXPECT_EQ(ReasonOf(stream), v1::ErrorDetail::INVALID_FIELD);
  EXPECT_NE(stream.message().find("stream 1"), std::string::npos) << stream;
}

}  // namespace
}  // namespace evenkeel::history
