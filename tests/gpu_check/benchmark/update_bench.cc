#include <algorithm>
#include <vector>

#include "base/status_macros.h"
#include "kernels/balance/balance_config.h"
#include "kernels/balance/cuda/cuda_update.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/schedule.h"
#include "tests/gpu_check/benchmark/bench.h"
#include "tests/gpu_check/benchmark/device_values.h"

namespace evenkeel::benchmarks {
namespace {

using balance::FlatLayer;
using balance::FlatStep;
using balance::FlatUpdate;
using balance::LayerScalars;
using gpu_check::DeviceMemory;
using gpu_check::DeviceStream;

// DeepSeek-V3's mixture-of-experts layers, all of a job's in one launch.
constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr int64_t kAll = int64_t{kLayers} * kExperts;
constexpr uint64_t kTokens = 8192;
// Counts, pending counts, bias and average read; all but the counts written.
constexpr int64_t kBytes = kAll * (8 + 2 * 8 + 2 * 4 + 2 * 4);

// A job on the device, of layers with the default config and a step of uneven counts.
struct UpdateJob {
  DeviceMemory layers, step, rates, counts, tokens, bias, ema, pending, scalars, refused;

  static absl::StatusOr<UpdateJob> Create(const DeviceStream& stream);
  FlatUpdate Update() const;
};

std::vector<FlatLayer> Layers(const balance::BalanceConfig& config) {
  std::vector<FlatLayer> layers;
  for (int layer = 0; layer < kLayers; ++layer) {
    layers.push_back({int64_t{layer} * kExperts, balance::MakeLayerRule(config, kExperts)});
  }
  return layers;
}

std::vector<uint64_t> Counts() {
  std::vector<uint64_t> counts(kAll);
  for (int64_t i = 0; i < kAll; ++i) counts[i] = 128 + static_cast<uint64_t>(i) * 2654435761u % 256;
  return counts;
}

absl::StatusOr<UpdateJob> UpdateJob::Create(const DeviceStream& stream) {
  const balance::BalanceConfig config;
  const FlatStep step = {{/*step=*/1, /*position=*/1}, /*ok=*/true};
  const float rate = static_cast<float>(balance::RateAt(config, step.info.position));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory layers, MemoryOf(stream, Layers(config)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory steps, MemoryOf(stream, std::vector<FlatStep>{step}));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory rates, MemoryOf(stream, std::vector<float>(kLayers, rate)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory counts, MemoryOf(stream, Counts()));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory tokens, MemoryOf(stream, std::vector<uint64_t>(kLayers, kTokens)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory bias, ZeroedMemory(stream, kAll * sizeof(float)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory ema, ZeroedMemory(stream, kAll * sizeof(float)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory pending, ZeroedMemory(stream, kAll * sizeof(uint64_t)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory scalars, MemoryOf(stream, std::vector<LayerScalars>(kLayers)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory refused, ZeroedMemory(stream, kLayers * sizeof(uint32_t)));
  return UpdateJob{std::move(layers), std::move(steps), std::move(rates),   std::move(counts),  std::move(tokens),
                   std::move(bias),   std::move(ema),   std::move(pending), std::move(scalars), std::move(refused)};
}

template <typename Value>
Value* In(const DeviceMemory& memory) {
  return reinterpret_cast<Value*>(memory.data());
}

FlatUpdate UpdateJob::Update() const {
  FlatUpdate update = {};
  update.num_layers = kLayers;
  update.layers = In<FlatLayer>(layers);
  update.step = In<FlatStep>(step);
  update.rates = In<float>(rates);
  update.counts = In<uint64_t>(counts);
  update.tokens = In<uint64_t>(tokens);
  update.bias = In<float>(bias);
  update.ema = In<float>(ema);
  update.pending = In<uint64_t>(pending);
  update.scalars = In<LayerScalars>(scalars);
  update.refused = In<uint32_t>(refused);
  return update;
}

// Every layer moved, and none was refused.
absl::Status CheckMoved(const DeviceStream& stream, const UpdateJob& job) {
  EVENKEEL_ASSIGN_OR_RETURN(const auto refused, ValuesOf<uint32_t>(stream, job.refused, kLayers));
  EVENKEEL_ASSIGN_OR_RETURN(const auto scalars, ValuesOf<LayerScalars>(stream, job.scalars, kLayers));
  for (int layer = 0; layer < kLayers; ++layer) {
    if (refused[layer] != 0 || scalars[layer].last_reason != balance::UpdateReason::kMoved) {
      return absl::InternalError("the balance update did not move every layer");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureUpdate(const Bench& bench) {
  Record begin("balance_update");
  begin.AddCount("layers", kLayers).AddCount("experts", kExperts);
  if (!HasTime(bench, begin)) return absl::OkStatus();
  const DeviceStream& stream = bench.timer->stream();
  EVENKEEL_ASSIGN_OR_RETURN(const UpdateJob job, UpdateJob::Create(stream));
  const FlatUpdate update = job.Update();
  for (const TimingMode mode : kTimingModes) {
    if (bench.quick && !mode.graph) continue;
    const auto work = [&](CUstream_st* s) { return balance::EnqueueFlatUpdate(update, s); };
    EVENKEEL_ASSIGN_OR_RETURN(const Timing timing, bench.timer->Time(work, mode));
    Record record = begin;
    AddTiming(mode, timing, &record);
    AddBytes(kBytes, timing, bench.copy_bytes_per_second, &record);
    bench.report->Add(record);
  }
  return CheckMoved(stream, job);
}

}  // namespace evenkeel::benchmarks
