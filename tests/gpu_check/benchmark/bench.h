#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/gpu_check/benchmark/benchmark_cases.h"
#include "tests/gpu_check/benchmark/eager_gpu_peer.h"
#include "tests/gpu_check/benchmark/gpu_timer.h"
#include "tests/gpu_check/benchmark/record.h"

// The parts of a run. Each measures a thing and reports records about it.
namespace evenkeel::benchmarks {

// What all parts of a run share. Not owned.
struct Bench {
  const GpuTimer* timer = nullptr;
  double copy_bytes_per_second = 0;
  EagerGpuPeer* eager = nullptr;  // null: none
  absl::Time deadline = absl::InfiniteFuture();
  bool quick = false;
  Report* report = nullptr;
};

// Bytes per second that a plain copy within the device's memory reads and writes, taken together: of a gibibyte, or of
// an eighth of what is free, if that is less, and far more than the L2 holds.
absl::StatusOr<double> MeasureCopyBandwidth(const GpuTimer& timer);

// "empty_kernel": what a launch takes in each mode when there is nothing to do.
absl::Status MeasureEmptyKernel(const Bench& bench);

// "route": RouteCuda, counts included, in each mode and for each number of rows. INTERNAL when it does not count every
// slot.
absl::Status MeasureForward(const Bench& bench, const RouteSeries& series);

// "route_backward": RouteBackwardCuda, from gradients of the weights.
absl::Status MeasureBackward(const Bench& bench, const RouteSeries& series);

// "balance_update": 61 layers of 256 experts. INTERNAL when a layer was refused.
absl::Status MeasureUpdate(const Bench& bench);

// "count_ids": EnqueueCountIds, of int32 ids of 8 of 256 experts. INTERNAL when it does not count every slot.
absl::Status MeasureCountIds(const Bench& bench, int64_t rows);

// The beginning of a series' record.
Record RecordOf(absl::string_view what, const RouteSeries& series, int64_t rows);

// How it was called, and what it took.
void AddTiming(TimingMode mode, const Timing& timing, Record* record);

// What was moved, and how that stands to the bandwidth.
void AddBytes(int64_t bytes, const Timing& timing, double copy_bytes_per_second, Record* record);

// Whether there is time for another case; if not, reports `record` as skipped.
bool HasTime(const Bench& bench, Record record);

// Of the sizes in series.rows, the greatest whose `bytes_per_row` fit into most of the free memory; 0 if none does.
// What does not fit is reported as skipped, as records of `what`.
absl::StatusOr<int64_t> RowsThatFit(const Bench& bench, absl::string_view what, const RouteSeries& series,
                                    int64_t bytes_per_row);

}  // namespace evenkeel::benchmarks
