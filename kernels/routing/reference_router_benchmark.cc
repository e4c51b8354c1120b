#include <cstdint>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "kernels/routing/reference_router.h"

// Rows per second of the reference router, one thread, every row new to the selection but warm in the cache:
//   SixtyFourExperts    T=2048 E=64 K=6, sigmoid: the router of the text worker
//   DeepSeekV3          T=2048 E=256 K=8, sigmoid, groups 8/4, normalised
//   CountsOnly          SixtyFourExperts, with counts as the only output
namespace evenkeel::routing {
namespace {

constexpr int kRows = 2048;

void Run(benchmark::State& state, const RouteSpec& spec, bool counts_only) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> logits(static_cast<size_t>(kRows) * spec.num_experts);
  for (float& logit : logits) logit = normal(random);
  const std::vector<float> bias(spec.num_experts, 0.01f);
  std::vector<int32_t> ids(kRows * spec.top_k);
  std::vector<float> weights(kRows * spec.top_k);
  std::vector<uint64_t> counts(spec.num_experts);

  RouteInput input;
  input.logits = logits.data();
  input.rows = kRows;
  input.logits_stride = spec.num_experts;
  input.bias = bias.data();
  RouteOutput output;
  output.counts = counts.data();
  output.ids_stride = output.weights_stride = spec.top_k;
  if (!counts_only) {
    output.ids = ids.data();
    output.weights = weights.data();
  }
  for (auto _ : state) {
    const absl::Status status = RouteReference(spec, input, output, nullptr);
    if (!status.ok()) state.SkipWithError(status.ToString().c_str());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

RouteSpec SixtyFour() {
  RouteSpec spec;
  spec.num_experts = 64;
  spec.top_k = 6;
  return spec;
}

void SixtyFourExperts(benchmark::State& state) { Run(state, SixtyFour(), false); }
BENCHMARK(SixtyFourExperts);

void CountsOnly(benchmark::State& state) { Run(state, SixtyFour(), true); }
BENCHMARK(CountsOnly);

void DeepSeekV3(benchmark::State& state) {
  RouteSpec spec;
  spec.num_experts = 256;
  spec.top_k = 8;
  spec.num_groups = 8;
  spec.top_groups = 4;
  spec.normalize = true;
  spec.normalize_epsilon = 1e-20f;
  spec.scale = 2.5f;
  Run(state, spec, false);
}
BENCHMARK(DeepSeekV3);

}  // namespace
}  // namespace evenkeel::routing

BENCHMARK_MAIN();
