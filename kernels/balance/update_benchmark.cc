// Update() of a whole model, 61 layers of 256 experts, by preset. Prints experts per second; run it with
//   bazel run //kernels/balance:update_benchmark

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "benchmark/benchmark.h"
#include "kernels/balance/update.h"

namespace evenkeel::balance {
namespace {

constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr uint64_t kTokens = 1 << 15;

void BM_Update(benchmark::State& bench, absl::string_view preset) {
  const BalanceConfig config = FromPreset(preset).value();
  std::mt19937_64 random(1);
  std::vector<uint64_t> counts(kExperts);
  for (uint64_t& count : counts) count = random() % (2 * kTokens * 8 / kExperts);
  std::vector<LayerState> layers(kLayers, InitialState(kExperts));
  uint64_t step = 0;
  for (auto _ : bench) {
    ++step;
    for (LayerState& layer : layers) Update(config, {step, step}, counts, kTokens, &layer);
    benchmark::ClobberMemory();
  }
  bench.SetItemsProcessed(bench.iterations() * kLayers * kExperts);
}

const bool kRegistered = [] {
  for (const absl::string_view preset : PresetNames()) {
    benchmark::RegisterBenchmark(("BM_Update/" + std::string(preset)).c_str(), BM_Update, preset);
  }
  return true;
}();

}  // namespace
}  // namespace evenkeel::balance

BENCHMARK_MAIN();
