#include "tests/gpu_check/benchmark/gpu_benchmark.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/gpu_check/benchmark/bench.h"
#include "tests/gpu_check/benchmark/benchmark_cases.h"
#include "tests/gpu_check/benchmark/benchmark_device.h"
#include "tests/gpu_check/benchmark/eager_gpu_peer.h"
#include "tests/gpu_check/benchmark/gpu_timer.h"
#include "tests/gpu_check/benchmark/record.h"

namespace evenkeel::benchmarks {
namespace {

constexpr int kSamples = 41;
constexpr int kQuickSamples = 15;
constexpr int64_t kCountedRows = 32768;
constexpr size_t kSeriesBeforeTheRest = 6;  // forwards: those of the bars, and softmax

void Say(const std::string& progress) { std::fprintf(stderr, "gpu benchmark: %s\n", progress.c_str()); }

// Null, and a record that says why, where there is none.
std::unique_ptr<EagerGpuPeer> StartEager(const std::string& python, Report* report) {
  Record record("eager");
  if (python.empty()) {
    report->Add(record.AddText("skipped", "no Python was named"));
    return nullptr;
  }
  Say(absl::StrCat("starting PyTorch with ", python));
  auto peer = EagerGpuPeer::Start(python, kEagerRouterScript);
  if (!peer.ok()) {
    report->Add(record.AddText("skipped", peer.status().message()));
    return nullptr;
  }
  report->Add(record.AddText("peer", (*peer)->name()));
  return *std::move(peer);
}

// An error of one series says which.
absl::Status Named(absl::string_view part, const RouteSeries& series, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(part, ", ", series.router, ", ", series.spec.num_experts,
                                                  " experts, ", DTypeName(series.dtype), ": ", status.message()));
}

absl::Status MeasureSmallParts(const Bench& bench) {
  Say("the balance update, counting, and backwards");
  EVENKEEL_RETURN_IF_ERROR(MeasureUpdate(bench));
  EVENKEEL_RETURN_IF_ERROR(MeasureCountIds(bench, kCountedRows));
  for (const RouteSeries& series : BackwardSeries(bench.quick)) {
    EVENKEEL_RETURN_IF_ERROR(Named("backwards", series, MeasureBackward(bench, series)));
  }
  return absl::OkStatus();
}

absl::Status MeasureAll(const Bench& bench) {
  EVENKEEL_RETURN_IF_ERROR(MeasureEmptyKernel(bench));
  const std::vector<RouteSeries> forward = ForwardSeries(bench.quick);
  const size_t before_the_rest = std::min(kSeriesBeforeTheRest, forward.size());
  const auto measure = [&](size_t begin, size_t end) -> absl::Status {
    for (size_t i = begin; i < end; ++i) {
      Say(absl::StrCat("forwards, series ", i + 1, " of ", forward.size()));
      EVENKEEL_RETURN_IF_ERROR(Named("forwards", forward[i], MeasureForward(bench, forward[i])));
    }
    return absl::OkStatus();
  };
  EVENKEEL_RETURN_IF_ERROR(measure(0, before_the_rest));
  EVENKEEL_RETURN_IF_ERROR(MeasureSmallParts(bench));
  return measure(before_the_rest, forward.size());
}

}  // namespace

absl::Status RunGpuBenchmark(const GpuBenchmarkOptions& options, std::vector<std::string>* json_records) {
  Bench bench;
  bench.deadline = absl::Now() + options.limit;
  bench.quick = options.quick;
  EVENKEEL_ASSIGN_OR_RETURN(const int64_t l2_bytes, L2Bytes());
  EVENKEEL_ASSIGN_OR_RETURN(const GpuTimer timer, GpuTimer::Create(options.quick ? kQuickSamples : kSamples, l2_bytes));
  bench.timer = &timer;
  Report report(json_records);
  bench.report = &report;
  EVENKEEL_ASSIGN_OR_RETURN(bench.copy_bytes_per_second, MeasureCopyBandwidth(timer));
  report.Add(Record("copy").AddNumber("bytes_per_second", bench.copy_bytes_per_second));
  Say(absl::StrFormat("a copy reads and writes %.0f GB/s", bench.copy_bytes_per_second * 1e-9));
  const std::unique_ptr<EagerGpuPeer> eager = StartEager(options.python, &report);
  bench.eager = eager.get();
  return MeasureAll(bench);
}

}  // namespace evenkeel::benchmarks
