#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/gpu_check/benchmark/bench.h"
#include "tests/gpu_check/benchmark/route_workload.h"

namespace evenkeel::benchmarks {
namespace {

constexpr double kEagerSeconds = 0.03;  // of turns, besides warming up

// Eager PyTorch in one case, or why there is none.
class EagerCase {
 public:
  EagerCase(const Bench& bench, const RouteSeries& series, int64_t rows) {
    if (bench.eager == nullptr) return;
    const absl::StatusOr<EagerGpuPeer::Times> times =
        bench.eager->Measure(series.spec, series.dtype, rows, kEagerSeconds);
    if (times.ok()) {
      times_ = *times;
    } else {
      error_ = std::string(times.status().message());
    }
  }

  // Beside the `microseconds` of a warm call.
  void AddTo(double microseconds, Record* record) const {
    if (!error_.empty()) record->AddText("eager_error", error_);
    if (!times_.has_value()) return;
    const double eager = (times_->route_seconds + times_->count_seconds) * 1e6;
    record->AddNumber("eager_us", eager).AddNumber("eager_count_us", times_->count_seconds * 1e6);
    record->AddNumber("times_eager", eager / microseconds);
    if (!times_->graph_error.empty()) {
      record->AddText("eager_graph_error", times_->graph_error);
      return;
    }
    const double graph = times_->graph_seconds * 1e6;
    record->AddNumber("eager_graph_us", graph).AddNumber("times_eager_graph", graph / microseconds);
  }

 private:
  std::optional<EagerGpuPeer::Times> times_;
  std::string error_;
};

absl::Status MeasureRows(const Bench& bench, const RouteSeries& series, const GpuRouteWorkload& workload,
                         int64_t rows) {
  EVENKEEL_ASSIGN_OR_RETURN(const int64_t differing, workload.DifferingRows(rows));
  const EagerCase eager(bench, series, rows);
  for (const TimingMode mode : kTimingModes) {
    if (bench.quick && !mode.graph) continue;
    EVENKEEL_ASSIGN_OR_RETURN(const Timing ours,
                              bench.timer->Time([&](CUstream_st* s) { return workload.Route(rows, s); }, mode));
    EVENKEEL_ASSIGN_OR_RETURN(
        const Timing theirs,
        bench.timer->Time([&](CUstream_st* s) { return workload.RouteByTwoKernels(rows, s); }, mode));
    Record record = RecordOf("route", series, rows);
    AddTiming(mode, ours, &record);
    AddBytes(ForwardBytes(series, rows), ours, bench.copy_bytes_per_second, &record);
    record.AddNumber("two_kernel_us", theirs.microseconds);
    record.AddNumber("times_two_kernel", theirs.microseconds / ours.microseconds);
    record.AddCount("rows_differing", differing);
    if (!mode.cold) eager.AddTo(ours.microseconds, &record);
    const std::optional<double> bar = BarMicroseconds(series, rows);
    if (bar.has_value() && !mode.cold && mode.graph) record.AddNumber("bar_us", *bar);
    bench.report->Add(record);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureForward(const Bench& bench, const RouteSeries& series) {
  if (!HasTime(bench, RecordOf("route", series, series.rows.front()))) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const int64_t fit,
                            RowsThatFit(bench, "route", series, GpuRouteWorkload::BytesPerRow(series)));
  if (fit == 0) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const GpuRouteWorkload workload,
                            GpuRouteWorkload::Create(series, fit, bench.timer->stream()));
  for (const int64_t rows : series.rows) {
    if (rows > fit) continue;
    if (!HasTime(bench, RecordOf("route", series, rows))) break;
    EVENKEEL_RETURN_IF_ERROR(MeasureRows(bench, series, workload, rows));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::benchmarks
