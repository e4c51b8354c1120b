#include "tests/gpu_check/benchmark/bench.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/gpu_check/benchmark/small_kernels.h"

namespace evenkeel::benchmarks {
namespace {

constexpr int64_t kCopiedBytes = int64_t{1} << 30;
constexpr int kCopyRounds = 8;  // the clocks rise in the first ones

}  // namespace

absl::StatusOr<double> MeasureCopyBandwidth(const GpuTimer& timer) {
  EVENKEEL_ASSIGN_OR_RETURN(const size_t free, gpu_check::FreeDeviceMemory());
  const int64_t bytes = std::min(kCopiedBytes, static_cast<int64_t>(free / 8));
  EVENKEEL_ASSIGN_OR_RETURN(const auto from, gpu_check::DeviceMemory::Allocate(bytes));
  EVENKEEL_ASSIGN_OR_RETURN(const auto to, gpu_check::DeviceMemory::Allocate(bytes));
  EVENKEEL_RETURN_IF_ERROR(timer.stream().Fill(from.data(), 1, bytes));
  const auto copy = [&](CUstream_st* stream) { return EnqueueCopy(to.data(), from.data(), bytes, stream); };
  Timing timing;
  for (int round = 0; round < kCopyRounds; ++round) {
    EVENKEEL_ASSIGN_OR_RETURN(timing, timer.Time(copy, {/*cold=*/false, /*graph=*/false}));
  }
  return 2 * static_cast<double>(bytes) / (timing.microseconds * 1e-6);
}

absl::Status MeasureEmptyKernel(const Bench& bench) {
  for (const TimingMode mode : kTimingModes) {
    EVENKEEL_ASSIGN_OR_RETURN(const Timing timing, bench.timer->Time(EnqueueNothing, mode));
    Record record("empty_kernel");
    AddTiming(mode, timing, &record);
    bench.report->Add(record);
  }
  return absl::OkStatus();
}

Record RecordOf(absl::string_view what, const RouteSeries& series, int64_t rows) {
  Record record(what);
  record.AddText("router", series.router).AddCount("experts", series.spec.num_experts);
  record.AddCount("top_k", series.spec.top_k).AddText("dtype", DTypeName(series.dtype)).AddCount("rows", rows);
  return record;
}

void AddTiming(TimingMode mode, const Timing& timing, Record* record) {
  record->AddText("l2", mode.cold ? "cold" : "warm").AddText("launch", mode.graph ? "graph" : "stream");
  record->AddNumber("us", timing.microseconds).AddNumber("best_us", timing.best_microseconds);
  record->AddCount("samples", timing.samples).AddCount("calls_per_sample", timing.calls_per_sample);
}

void AddBytes(int64_t bytes, const Timing& timing, double copy_bytes_per_second, Record* record) {
  const double bytes_per_second = static_cast<double>(bytes) / (timing.microseconds * 1e-6);
  record->AddCount("bytes", bytes).AddNumber("bytes_per_second", bytes_per_second);
  record->AddNumber("copy_fraction", bytes_per_second / copy_bytes_per_second);
}

bool HasTime(const Bench& bench, Record record) {
  if (absl::Now() < bench.deadline) return true;
  bench.report->Add(record.AddText("skipped", "no time left"));
  return false;
}

absl::StatusOr<int64_t> RowsThatFit(const Bench& bench, absl::string_view what, const RouteSeries& series,
                                    int64_t bytes_per_row) {
  EVENKEEL_ASSIGN_OR_RETURN(const size_t free, gpu_check::FreeDeviceMemory());
  const int64_t usable = static_cast<int64_t>(free / 10 * 9);
  int64_t fit = 0;
  for (const int64_t rows : series.rows) {
    if (rows * bytes_per_row <= usable) {
      fit = std::max(fit, rows);
      continue;
    }
    const std::string why = absl::StrCat("needs ", rows * bytes_per_row, " bytes, and ", free, " are free");
    bench.report->Add(RecordOf(what, series, rows).AddText("skipped", why));
  }
  return fit;
}

}  // namespace evenkeel::benchmarks
