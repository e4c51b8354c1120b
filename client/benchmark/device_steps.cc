#include "client/benchmark/device_steps.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/status_macros.h"
#include "client/benchmark/report.h"
#include "client/benchmark/stopwatch.h"
#include "client/device/device_buffer.h"

namespace evenkeel::step_benchmark {
namespace {

using client::DeviceBuffer;
using client::OwnedEvent;
using client::OwnedStream;

// Times that a work's memory is written, which takes an H200 about a millisecond of half a gibibyte: longer than the
// host takes to enqueue a step.
constexpr int kWrites = 8;

class DeviceSteps {
 public:
  DeviceSteps(const StepCase& step_case, client::Worker* worker, client::DeviceRuntime* runtime,
              client::DeviceReducer* reducer, DeviceClock* clock)
      : case_(step_case), worker_(*worker), runtime_(runtime), reducer_(reducer), clock_(*clock) {}

  absl::Status Allocate(size_t work_bytes) {
    EVENKEEL_ASSIGN_OR_RETURN(stream_, OwnedStream::Create(runtime_));
    EVENKEEL_ASSIGN_OR_RETURN(reached_, OwnedEvent::Create(runtime_));
    EVENKEEL_ASSIGN_OR_RETURN(work_, DeviceBuffer<char>::OnDevice(runtime_, work_bytes));
    EVENKEEL_ASSIGN_OR_RETURN(counts_, DeviceBuffer<uint64_t>::OnDevice(runtime_, case_.experts));
    EVENKEEL_ASSIGN_OR_RETURN(sums_, DeviceBuffer<uint64_t>::OnDevice(runtime_, case_.experts));
    EVENKEEL_ASSIGN_OR_RETURN(read_, DeviceBuffer<uint64_t>::Pinned(runtime_, case_.experts));
    const std::vector<uint64_t> counts = CountsOf(case_);
    std::copy(counts.begin(), counts.end(), read_.data());
    EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(counts_.data(), read_.data(), counts_.bytes(), stream_.get()));
    EVENKEEL_RETURN_IF_ERROR(worker_.SetStream(stream_.get()));
    return Reach();
  }

  absl::Status Step(uint64_t step) {
    Marks marks;
    Times times;
    EVENKEEL_RETURN_IF_ERROR(OtherWork());
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.first));
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.begin));
    EVENKEEL_RETURN_IF_ERROR(Timed(&times.begin_step, [&] { return worker_.BeginStep(step); }));
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.begun));
    for (int layer = 0; layer < case_.layers; ++layer) {
      EVENKEEL_RETURN_IF_ERROR(worker_.AddCounts(layer, {counts_.data(), static_cast<uint64_t>(case_.tokens)}));
    }
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.commit));
    EVENKEEL_RETURN_IF_ERROR(Timed(&times.commit, [&] { return worker_.Commit(step, /*ok=*/true); }));
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.committed));
    EVENKEEL_RETURN_IF_ERROR(OtherWork());
    EVENKEEL_RETURN_IF_ERROR(Reach());  // the host's time of the loop is without that of the work
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.loop));
    EVENKEEL_RETURN_IF_ERROR(Timed(&times.loop, [&] { return Loop(); }));
    EVENKEEL_RETURN_IF_ERROR(Mark(&marks.looped));
    EVENKEEL_RETURN_IF_ERROR(Reach());
    return step > case_.warm_up ? Note(marks, times) : absl::OkStatus();
  }

  DeviceSamples TakeSamples() { return std::move(samples_); }

 private:
  struct Marks {
    int first, begin, begun, commit, committed, loop, looped;
  };
  struct Times {
    double begin_step, commit, loop;
  };

  absl::Status OtherWork() {
    for (int i = 0; i < kWrites; ++i) {
      EVENKEEL_RETURN_IF_ERROR(runtime_->FillZero(work_.data(), work_.bytes(), stream_.get()));
    }
    return absl::OkStatus();
  }

  absl::Status Mark(int* mark) {
    EVENKEEL_ASSIGN_OR_RETURN(*mark, clock_.Mark(stream_.get()));
    return absl::OkStatus();
  }

  template <typename Call>
  static absl::Status Timed(double* microseconds, const Call& call) {
    absl::Status status;
    *microseconds = Microseconds([&] { status = call(); });
    return status;
  }

  // Waits, as a trainer's read does, without leaving the processor.
  absl::Status Reach() {
    EVENKEEL_RETURN_IF_ERROR(runtime_->Record(reached_.get(), stream_.get()));
    while (true) {
      EVENKEEL_ASSIGN_OR_RETURN(const bool reached, runtime_->Happened(reached_.get()));
      if (reached) return absl::OkStatus();
    }
  }

  absl::Status Loop() {
    for (int layer = 0; layer < case_.layers; ++layer) {
      if (reducer_ != nullptr) {
        EVENKEEL_RETURN_IF_ERROR(reducer_->EnqueueSum(sums_.data(), sums_.size(), stream_.get()));
      } else {
        EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(sums_.data(), counts_.data(), sums_.bytes(), stream_.get()));
      }
      EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(read_.data(), sums_.data(), sums_.bytes(), stream_.get()));
      EVENKEEL_RETURN_IF_ERROR(Reach());
    }
    return absl::OkStatus();
  }

  absl::Status Note(const Marks& marks, const Times& times) {
    const auto add = [&](int from, int to, std::vector<double>* samples) -> absl::Status {
      EVENKEEL_ASSIGN_OR_RETURN(const double microseconds, clock_.Microseconds(from, to));
      samples->push_back(microseconds);
      return absl::OkStatus();
    };
    EVENKEEL_RETURN_IF_ERROR(add(marks.first, marks.begin, &samples_.marks));
    EVENKEEL_RETURN_IF_ERROR(add(marks.begin, marks.begun, &samples_.begin_step));
    EVENKEEL_RETURN_IF_ERROR(add(marks.commit, marks.committed, &samples_.commit));
    EVENKEEL_RETURN_IF_ERROR(add(marks.loop, marks.looped, &samples_.loop));
    samples_.host_begin_step.push_back(times.begin_step);
    samples_.host_commit.push_back(times.commit);
    samples_.host_loop.push_back(times.loop);
    return absl::OkStatus();
  }

  const StepCase& case_;
  client::Worker& worker_;
  client::DeviceRuntime* const runtime_;
  client::DeviceReducer* const reducer_;
  DeviceClock& clock_;

  OwnedStream stream_;
  OwnedEvent reached_;
  DeviceBuffer<char> work_;
  DeviceBuffer<uint64_t> counts_;
  DeviceBuffer<uint64_t> sums_;  // [experts] of a layer in the loop
  DeviceBuffer<uint64_t> read_;  // pinned
  DeviceSamples samples_;
};

}  // namespace

double DeviceSamples::Step() const { return Median(begin_step) + Median(commit) - 2 * Median(marks); }
double DeviceSamples::Loop() const { return Median(loop) - Median(marks); }

absl::StatusOr<DeviceSamples> MeasureDeviceSteps(const StepCase& step_case, size_t work_bytes, client::Worker* worker,
                                                 client::DeviceRuntime* runtime, client::DeviceReducer* reducer,
                                                 DeviceClock* clock) {
  DeviceSteps steps(step_case, worker, runtime, reducer, clock);
  EVENKEEL_RETURN_IF_ERROR(steps.Allocate(work_bytes));
  for (uint64_t step = 1; step <= step_case.warm_up + step_case.steps; ++step) {
    EVENKEEL_RETURN_IF_ERROR(steps.Step(step));
  }
  EVENKEEL_RETURN_IF_ERROR(worker->Leave());
  return steps.TakeSamples();
}

}  // namespace evenkeel::step_benchmark
