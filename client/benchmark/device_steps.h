#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "client/benchmark/device_clock.h"
#include "client/benchmark/step_case.h"
#include "client/device/device_runtime.h"
#include "client/reduce/device_reducer.h"
#include "client/worker/worker.h"

namespace evenkeel::step_benchmark {

// Microseconds, a sample for each step.
struct DeviceSamples {
  // Of the training stream. `marks` is what two marks take with nothing between them, which is in all others, too.
  std::vector<double> marks;
  std::vector<double> begin_step;
  std::vector<double> commit;
  std::vector<double> loop;
  // Of the training thread.
  std::vector<double> host_begin_step;
  std::vector<double> host_commit;
  std::vector<double> host_loop;

  // What a step takes of the training stream: the median of BeginStep and of Commit, less the marks'.
  double Step() const;
  // Likewise of the loop.
  double Loop() const;
};

// Where a step costs what on a device. Turn by turn: a step of `worker`, and the loop that trainers have instead, which
// for each layer reduces the counts on the device and reads them on the host. On one stream, in the order
//
//   other work . marks . BeginStep . AddCounts of all layers . Commit . other work . loop
//
// The other work stands for the model's: while it runs, the host enqueues all that is measured after it, which so is
// what the device takes, and the worker's own stream makes the next bias, as it does beside an optimizer.
//
// `worker` has joined as OptionsOf(step_case), and leaves; `runtime` is its device, the worker's own or another. A null
// `reducer` is one rank without NCCL: the loop then copies. `work_bytes` is the size of what the other work writes.
// Errors of the worker, the runtime, the clock and the reducer.
absl::StatusOr<DeviceSamples> MeasureDeviceSteps(const StepCase& step_case, size_t work_bytes, client::Worker* worker,
                                                 client::DeviceRuntime* runtime, client::DeviceReducer* reducer,
                                                 DeviceClock* clock);

}  // namespace evenkeel::step_benchmark
