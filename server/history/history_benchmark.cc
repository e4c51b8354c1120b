// What a commit of 61 layers with 256 experts costs the history, and what a look at it does:
//   bazel run -c opt //server/history:history_benchmark

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "job/job_plan.h"
#include "server/history/history.h"

namespace evenkeel::history {
namespace {

constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr int kTopK = 8;
constexpr uint64_t kTokens = 32768;

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.set_name("job");
  spec.set_contributors(1);
  for (int i = 0; i < kLayers; ++i) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(absl::StrCat("layers.", 100 + i, ".mlp"));
    layer->set_num_experts(kExperts);
    layer->set_top_k(kTopK);
  }
  return spec;
}

// The write of a commit with random counts and a random bias.
core::Write RandomCommit(const job::JobPlan& plan, uint64_t step, std::mt19937_64* random) {
  auto state = std::make_shared<v1::JobState>();
  *state->mutable_spec() = plan.effective;
  state->set_fingerprint(plan.fingerprint);
  state->mutable_version()->set_step(step);
  for (const job::LayerTable::Row& row : plan.layers.rows()) {
    v1::LayerState* layer = state->add_layers();
    layer->set_layer(row.name);
    layer->set_last_reason(v1::UpdateReason::MOVED);
    for (int i = 0; i < kExperts; ++i) {
      layer->add_last_counts((*random)() % (2 * kTokens * kTopK / kExperts));
      layer->add_bias(static_cast<float>((*random)() % 1000) * 1e-3F);
    }
  }
  core::Write write;
  write.job = "job";
  write.state = std::move(state);
  write.commit.emplace();
  return write;
}

// States of steps that follow each other; the last is followed by the first, which begins anew.
std::vector<core::Write> RandomCommits(int count) {
  std::mt19937_64 random(1);
  const job::JobPlan plan = job::PlanJob(Spec(), v1::BalanceConfig(), job::WithDefaults({})).value();
  std::vector<core::Write> writes;
  for (int step = 1; step <= count; ++step) writes.push_back(RandomCommit(plan, step, &random));
  return writes;
}

void BM_Take(benchmark::State& bench) {
  const std::vector<core::Write> writes = RandomCommits(2000);
  History history;
  history.Take(absl::MakeConstSpan(writes).first(1));
  size_t next = 1;
  for (auto _ : bench) {
    if (next == writes.size()) {
      bench.PauseTiming();
      history.Take(absl::MakeConstSpan(writes).first(1));
      next = 1;
      bench.ResumeTiming();
    }
    history.Take(absl::MakeConstSpan(writes).subspan(next++, 1));
  }
}
BENCHMARK(BM_Take)->Unit(benchmark::kMicrosecond);

void BM_Look(benchmark::State& bench) {
  const std::vector<core::Write> writes = RandomCommits(100);
  History history;
  history.Take(writes);
  for (auto _ : bench) benchmark::DoNotOptimize(history.Look("job"));
}
BENCHMARK(BM_Look)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace evenkeel::history

BENCHMARK_MAIN();
