#include <algorithm>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "kernels/counting/cuda/cuda_count.h"
#include "tests/gpu_check/benchmark/bench.h"
#include "tests/gpu_check/benchmark/device_values.h"

namespace evenkeel::benchmarks {
namespace {

using counting::CountOutput;
using counting::IdsInput;
using gpu_check::DeviceMemory;
using gpu_check::DeviceStream;
using routing::RouteStats;

constexpr int kExperts = 256;
constexpr int kTopK = 8;

// As a balanced router would choose them.
std::vector<int32_t> Ids(int64_t rows) {
  std::mt19937 random(1);
  std::vector<int32_t> experts(kExperts);
  std::iota(experts.begin(), experts.end(), 0);
  std::vector<int32_t> ids;
  for (int64_t row = 0; row < rows; ++row) {
    for (int slot = 0; slot < kTopK; ++slot) {
      std::swap(experts[slot], experts[slot + random() % (kExperts - slot)]);
      ids.push_back(experts[slot]);
    }
  }
  return ids;
}

struct CountJob {
  DeviceMemory ids, counts, stats, refused;

  static absl::StatusOr<CountJob> Create(const DeviceStream& stream, int64_t rows);
  IdsInput Input(int64_t rows) const;
  CountOutput Output() const;
};

absl::StatusOr<CountJob> CountJob::Create(const DeviceStream& stream, int64_t rows) {
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory ids, MemoryOf(stream, Ids(rows)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory counts, ZeroedMemory(stream, kExperts * sizeof(uint64_t)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory stats, ZeroedMemory(stream, sizeof(RouteStats)));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory refused, ZeroedMemory(stream, sizeof(uint64_t)));
  return CountJob{std::move(ids), std::move(counts), std::move(stats), std::move(refused)};
}

IdsInput CountJob::Input(int64_t rows) const {
  IdsInput input;
  input.num_experts = kExperts;
  input.top_k = input.ids_stride = kTopK;
  input.ids = ids.data();
  input.rows = rows;
  return input;
}

CountOutput CountJob::Output() const {
  return {reinterpret_cast<uint64_t*>(counts.data()), reinterpret_cast<RouteStats*>(stats.data()),
          reinterpret_cast<uint64_t*>(refused.data())};
}

// Every slot of every call is in the counts.
absl::Status CheckCounted(const DeviceStream& stream, const CountJob& job) {
  EVENKEEL_ASSIGN_OR_RETURN(const auto counts, ValuesOf<uint64_t>(stream, job.counts, kExperts));
  EVENKEEL_ASSIGN_OR_RETURN(const auto stats, ValuesOf<RouteStats>(stream, job.stats, 1));
  EVENKEEL_ASSIGN_OR_RETURN(const auto refused, ValuesOf<uint64_t>(stream, job.refused, 1));
  const uint64_t sum = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (sum > 0 && sum == static_cast<uint64_t>(kTopK * stats[0].valid_rows) && refused[0] == 0) return absl::OkStatus();
  return absl::InternalError("the counting of ids did not count every slot");
}

}  // namespace

absl::Status MeasureCountIds(const Bench& bench, int64_t rows) {
  Record begin("count_ids");
  begin.AddCount("experts", kExperts).AddCount("top_k", kTopK).AddCount("rows", rows);
  if (!HasTime(bench, begin)) return absl::OkStatus();
  const DeviceStream& stream = bench.timer->stream();
  EVENKEEL_ASSIGN_OR_RETURN(const CountJob job, CountJob::Create(stream, rows));
  const IdsInput input = job.Input(rows);
  const CountOutput output = job.Output();
  for (const TimingMode mode : kTimingModes) {
    if (bench.quick && !mode.graph) continue;
    const auto work = [&](CUstream_st* s) { return counting::EnqueueCountIds(input, output, s); };
    EVENKEEL_ASSIGN_OR_RETURN(const Timing timing, bench.timer->Time(work, mode));
    Record record = begin;
    AddTiming(mode, timing, &record);
    AddBytes(rows * kTopK * static_cast<int64_t>(sizeof(int32_t)), timing, bench.copy_bytes_per_second, &record);
    bench.report->Add(record);
  }
  return CheckCounted(stream, job);
}

}  // namespace evenkeel::benchmarks
