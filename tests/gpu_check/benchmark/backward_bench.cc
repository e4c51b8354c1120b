#include "base/status_macros.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "tests/gpu_check/benchmark/bench.h"
#include "tests/gpu_check/benchmark/route_workload.h"
#include "tests/gpu_check/benchmark/small_kernels.h"

namespace evenkeel::benchmarks {
namespace {

using gpu_check::DeviceMemory;

constexpr uint64_t kGradientSeed = 3;

// Of logits, gradients and what the forward pass needs beside them.
int64_t BytesPerRow(const RouteSeries& series) {
  const int64_t gradients =
      series.spec.num_experts * ElementBytes(series.dtype) + series.spec.top_k * static_cast<int64_t>(sizeof(float));
  return GpuRouteWorkload::BytesPerRow(series) + gradients;
}

absl::Status MeasureRows(const Bench& bench, const RouteSeries& series, const routing::RouteBackwardInput& input,
                         const routing::RouteBackwardOutput& output) {
  for (const TimingMode mode : kTimingModes) {
    if (bench.quick && !mode.graph) continue;
    const auto work = [&](CUstream_st* stream) {
      return routing::RouteBackwardCuda(series.spec, input, output, stream);
    };
    EVENKEEL_ASSIGN_OR_RETURN(const Timing timing, bench.timer->Time(work, mode));
    Record record = RecordOf("route_backward", series, input.rows);
    AddTiming(mode, timing, &record);
    AddBytes(BackwardBytes(series, input.rows), timing, bench.copy_bytes_per_second, &record);
    bench.report->Add(record);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureBackward(const Bench& bench, const RouteSeries& series) {
  if (!HasTime(bench, RecordOf("route_backward", series, series.rows.front()))) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const int64_t fit, RowsThatFit(bench, "route_backward", series, BytesPerRow(series)));
  if (fit == 0) return absl::OkStatus();
  const gpu_check::DeviceStream& stream = bench.timer->stream();
  const int experts = series.spec.num_experts;
  const int top_k = series.spec.top_k;
  EVENKEEL_ASSIGN_OR_RETURN(const GpuRouteWorkload forward, GpuRouteWorkload::Create(series, fit, stream));
  EVENKEEL_RETURN_IF_ERROR(forward.Route(fit, stream.get()));
  EVENKEEL_ASSIGN_OR_RETURN(const DeviceMemory d_weights, DeviceMemory::Allocate(fit * top_k * sizeof(float)));
  EVENKEEL_RETURN_IF_ERROR(
      EnqueueNormal(kGradientSeed, 1, routing::DType::kF32, d_weights.data(), fit * top_k, stream.get()));
  EVENKEEL_ASSIGN_OR_RETURN(const DeviceMemory d_logits,
                            DeviceMemory::Allocate(fit * experts * ElementBytes(series.dtype)));
  for (const int64_t rows : series.rows) {
    if (rows > fit) continue;
    routing::RouteBackwardInput input;
    input.logits = forward.logits();
    input.logits_dtype = series.dtype;
    input.rows = rows;
    input.logits_stride = experts;
    input.ids = forward.ids();
    input.d_weights = d_weights.data();
    input.ids_stride = input.d_weights_stride = top_k;
    routing::RouteBackwardOutput output;
    output.d_logits = d_logits.data();
    output.d_logits_dtype = series.dtype;
    output.d_logits_stride = experts;
    EVENKEEL_RETURN_IF_ERROR(MeasureRows(bench, series, input, output));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::benchmarks
