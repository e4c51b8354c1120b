#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"

namespace evenkeel::step_benchmark {

// The time of a device, which DeviceRuntime's events have none of. Errors are INTERNAL, with CUDA's reason. For one
// thread.
class DeviceClock {
 public:
  virtual ~DeviceClock() = default;

  // Enqueues a mark, and gives its number.
  virtual absl::StatusOr<int> Mark(client::DeviceStream stream) = 0;

  // From one mark to a later one of its stream, which has come that far.
  virtual absl::StatusOr<double> Microseconds(int from, int to) = 0;
};

// UNIMPLEMENTED where this was built without CUDA.
absl::StatusOr<std::unique_ptr<DeviceClock>> MakeCudaClock(int device);

}  // namespace evenkeel::step_benchmark
