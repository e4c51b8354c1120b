#include <cstdint>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "kernels/routing/cpu/cpu_backward.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_backward.h"

// Rows per second of the backward passes, one thread, float32, from gradients by the weights:
//   Sigmoid   E=256 K=8, sigmoid, normalised: the router of DeepSeek-V3
//   Softmax   E=128 K=8, softmax over all experts
// each by the reference and by RouteBackwardCpu, T=2048 (in the cache) and T=65536 (in memory). bytes_per_second counts
// what must be written and read at least: d_logits, d_weights and ids, and of the logits those that are looked at.
namespace evenkeel::routing {
namespace {

using BackwardFunction = absl::Status (*)(const RouteSpec& spec, const RouteBackwardInput& input,
                                          const RouteBackwardOutput& output);

void Run(benchmark::State& state, BackwardFunction backward, const RouteSpec& spec, int64_t logits_per_row) {
  const int64_t rows = state.range(0);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> logits(rows * spec.num_experts);
  for (float& logit : logits) logit = normal(random);
  std::vector<float> d_weights(rows * spec.top_k);
  for (float& gradient : d_weights) gradient = normal(random);
  std::vector<int32_t> ids(rows * spec.top_k);
  std::vector<float> d_logits(rows * spec.num_experts);

  RouteInput routed;
  routed.logits = logits.data();
  routed.rows = rows;
  routed.logits_stride = spec.num_experts;
  RouteOutput chosen;
  chosen.ids = ids.data();
  chosen.ids_stride = spec.top_k;
  absl::Status status = RouteCpu(spec, routed, chosen, nullptr);

  RouteBackwardInput input;
  input.logits = logits.data();
  input.rows = rows;
  input.logits_stride = spec.num_experts;
  input.ids = ids.data();
  input.d_weights = d_weights.data();
  input.ids_stride = input.d_weights_stride = spec.top_k;
  RouteBackwardOutput output;
  output.d_logits = d_logits.data();
  output.d_logits_stride = spec.num_experts;
  for (auto _ : state) {
    status.Update(backward(spec, input, output));
    benchmark::ClobberMemory();
  }
  if (!status.ok()) state.SkipWithError(status.ToString().c_str());
  state.SetItemsProcessed(state.iterations() * rows);
  const int64_t floats = spec.num_experts + logits_per_row + 2 * spec.top_k;
  state.SetBytesProcessed(state.iterations() * rows * floats * static_cast<int64_t>(sizeof(float)));
  state.SetLabel(backward == RouteBackwardCpu ? std::string(CpuBackwardPath(spec)) : "reference");
}

void Sigmoid(benchmark::State& state, BackwardFunction backward) {
  RouteSpec spec;
  spec.num_experts = 256;
  spec.top_k = 8;
  spec.normalize = true;
  spec.normalize_epsilon = 1e-20f;
  spec.scale = 2.5f;
  Run(state, backward, spec, spec.top_k);
}
BENCHMARK_CAPTURE(Sigmoid, reference, RouteBackwardReference)->Arg(2048)->Arg(65536);
BENCHMARK_CAPTURE(Sigmoid, cpu, RouteBackwardCpu)->Arg(2048)->Arg(65536);

void Softmax(benchmark::State& state, BackwardFunction backward) {
  RouteSpec spec;
  spec.num_experts = 128;
  spec.top_k = 8;
  spec.score = Score::kSoftmax;
  Run(state, backward, spec, spec.num_experts);
}
BENCHMARK_CAPTURE(Softmax, reference, RouteBackwardReference)->Arg(2048)->Arg(65536);
BENCHMARK_CAPTURE(Softmax, cpu, RouteBackwardCpu)->Arg(2048)->Arg(65536);

}  // namespace
}  // namespace evenkeel::routing

BENCHMARK_MAIN();
