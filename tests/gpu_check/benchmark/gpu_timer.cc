#include "tests/gpu_check/benchmark/gpu_timer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "tests/benchmarks/median.h"

namespace evenkeel::benchmarks {
namespace {

using gpu_check::DeviceGraph;
using gpu_check::DeviceMemory;
using gpu_check::DeviceStream;

constexpr double kSampleMicroseconds = 333;
constexpr int kMaxCallsPerSample = 200;
constexpr int kWarmUpCalls = 4;
constexpr int kFlushedCaches = 4;

absl::Status Repeat(int times, absl::FunctionRef<absl::Status()> call) {
  for (int i = 0; i < times; ++i) EVENKEEL_RETURN_IF_ERROR(call());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GpuTimer> GpuTimer::Create(int samples, int64_t l2_bytes) {
  EVENKEEL_ASSIGN_OR_RETURN(DeviceStream stream, DeviceStream::Create());
  const int64_t flushed_bytes = kFlushedCaches * l2_bytes;
  EVENKEEL_ASSIGN_OR_RETURN(DeviceMemory flushed, DeviceMemory::Allocate(flushed_bytes));
  std::vector<DeviceEvent> events;
  for (int i = 0; i < 2 * samples; ++i) {
    EVENKEEL_ASSIGN_OR_RETURN(DeviceEvent event, DeviceEvent::Create());
    events.push_back(std::move(event));
  }
  return GpuTimer(std::move(stream), std::move(flushed), flushed_bytes, std::move(events));
}

GpuTimer::GpuTimer(DeviceStream stream, DeviceMemory flushed, int64_t flushed_bytes, std::vector<DeviceEvent> events)
    : stream_(std::move(stream)),
      flushed_(std::move(flushed)),
      flushed_bytes_(flushed_bytes),
      events_(std::move(events)) {}

absl::StatusOr<Timing> GpuTimer::Time(Work work, TimingMode mode) const {
  const auto call = [&] { return work(stream_.get()); };
  Timing timing;
  EVENKEEL_ASSIGN_OR_RETURN(const int warm_calls, CallsPerSample(work));
  timing.calls_per_sample = mode.cold ? 1 : warm_calls;
  const auto calls = [&] { return Repeat(timing.calls_per_sample, call); };
  std::optional<DeviceGraph> graph;
  if (mode.graph) {
    EVENKEEL_ASSIGN_OR_RETURN(graph, DeviceGraph::Capture(stream_, calls));
  }
  const auto sample = [&] { return graph.has_value() ? graph->Launch(stream_) : calls(); };
  EVENKEEL_RETURN_IF_ERROR(sample());  // the first replay brings the graph to the device
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<double> samples, mode.cold ? ColdSamples(sample) : WarmSamples(sample));
  for (double& microseconds : samples) microseconds /= timing.calls_per_sample;
  timing.samples = static_cast<int>(samples.size());
  timing.microseconds = Median(samples);
  timing.best_microseconds = *std::min_element(samples.begin(), samples.end());
  return timing;
}

absl::StatusOr<int> GpuTimer::CallsPerSample(Work work) const {
  const auto call = [&] { return work(stream_.get()); };
  EVENKEEL_RETURN_IF_ERROR(Repeat(kWarmUpCalls, call));
  EVENKEEL_RETURN_IF_ERROR(stream_.Synchronize());
  EVENKEEL_RETURN_IF_ERROR(events_[0].Record(stream_.get()));
  EVENKEEL_RETURN_IF_ERROR(Repeat(kWarmUpCalls, call));
  EVENKEEL_RETURN_IF_ERROR(events_[1].Record(stream_.get()));
  EVENKEEL_RETURN_IF_ERROR(stream_.Synchronize());
  EVENKEEL_ASSIGN_OR_RETURN(const double microseconds, events_[1].MicrosecondsSince(events_[0]));
  const double calls = std::ceil(kSampleMicroseconds * kWarmUpCalls / std::max(microseconds, 1.0));
  return static_cast<int>(std::min(calls, double{kMaxCallsPerSample}));
}

// From event to event without a gap: the host is ahead of the device, or what it takes is what is timed.
absl::StatusOr<std::vector<double>> GpuTimer::WarmSamples(Calls sample) const {
  const size_t count = events_.size() / 2;
  EVENKEEL_RETURN_IF_ERROR(events_[0].Record(stream_.get()));
  for (size_t i = 1; i <= count; ++i) {
    EVENKEEL_RETURN_IF_ERROR(sample());
    EVENKEEL_RETURN_IF_ERROR(events_[i].Record(stream_.get()));
  }
  EVENKEEL_RETURN_IF_ERROR(stream_.Synchronize());
  std::vector<double> samples(count);
  for (size_t i = 0; i < count; ++i) {
    EVENKEEL_ASSIGN_OR_RETURN(samples[i], events_[i + 1].MicrosecondsSince(events_[i]));
  }
  return samples;
}

absl::StatusOr<std::vector<double>> GpuTimer::ColdSamples(Calls sample) const {
  const size_t count = events_.size() / 2;
  for (size_t i = 0; i < count; ++i) {
    EVENKEEL_RETURN_IF_ERROR(stream_.Fill(flushed_.data(), 0, flushed_bytes_));
    EVENKEEL_RETURN_IF_ERROR(events_[2 * i].Record(stream_.get()));
    EVENKEEL_RETURN_IF_ERROR(sample());
    EVENKEEL_RETURN_IF_ERROR(events_[2 * i + 1].Record(stream_.get()));
  }
  EVENKEEL_RETURN_IF_ERROR(stream_.Synchronize());
  std::vector<double> samples(count);
  for (size_t i = 0; i < count; ++i) {
    EVENKEEL_ASSIGN_OR_RETURN(samples[i], events_[2 * i + 1].MicrosecondsSince(events_[2 * i]));
  }
  return samples;
}

}  // namespace evenkeel::benchmarks
