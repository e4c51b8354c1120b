#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/gpu_check/benchmark/benchmark_device.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::benchmarks {

// How work is called while it is timed.
//   warm  calls follow each other with the same data. A sample is as many of them as take a third of a millisecond,
//         between two events: what events and a graph's launch take is spread over them.
//   cold  before each call, outside of the sample, four times as much memory is written as the L2 cache holds. A sample
//         is one call between two events, and what these take themselves is in it: see the record "empty_kernel".
// In a graph, the calls of a sample are captured once, and a sample is a replay. On the stream they are launched one by
// one, and at short work it is the host's launching that is timed.
struct TimingMode {
  bool cold;
  bool graph;
};

inline constexpr TimingMode kTimingModes[] = {{false, true}, {true, true}, {false, false}, {true, false}};

struct Timing {
  double microseconds = 0;  // of a call: the median of the samples
  double best_microseconds = 0;
  int samples = 0;
  int calls_per_sample = 0;
};

class GpuTimer {
 public:
  // Puts one call on the stream.
  using Work = absl::FunctionRef<absl::Status(CUstream_st*)>;

  // `samples` >= 1, `l2_bytes` >= 1. Neither memory nor events are allocated after this, but for graphs.
  static absl::StatusOr<GpuTimer> Create(int samples, int64_t l2_bytes);

  // What everything here runs on.
  const gpu_check::DeviceStream& stream() const { return stream_; }

  // Calls `work` many times, some of them before anything is timed, and waits for the stream. Errors are those of
  // `work`, or INTERNAL with CUDA's reason.
  absl::StatusOr<Timing> Time(Work work, TimingMode mode) const;

 private:
  using Calls = absl::FunctionRef<absl::Status()>;

  GpuTimer(gpu_check::DeviceStream stream, gpu_check::DeviceMemory flushed, int64_t flushed_bytes,
           std::vector<DeviceEvent> events);

  // Of warm calls, so many that a sample is long.
  absl::StatusOr<int> CallsPerSample(Work work) const;
  // Microseconds of each sample.
  absl::StatusOr<std::vector<double>> WarmSamples(Calls sample) const;
  absl::StatusOr<std::vector<double>> ColdSamples(Calls sample) const;

  gpu_check::DeviceStream stream_;
  gpu_check::DeviceMemory flushed_;
  int64_t flushed_bytes_;
  std::vector<DeviceEvent> events_;  // two for each sample
};

}  // namespace evenkeel::benchmarks
