#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"

namespace evenkeel::client {

// The DeviceRuntime of a GPU, by the CUDA runtime that is linked in; `device` counts as CUDA does, from 0. No call but
// those that free disturbs a CUDA graph that some thread captures at the time. Versions in info() are CUDA's ("13.0"):
// for the driver, the newest that it serves.
//   UNIMPLEMENTED     this libevenkeel was built without CUDA
//   UNAVAILABLE       there is no GPU, or no driver that serves it; with CUDA's reason
//   INVALID_ARGUMENT  there are GPUs, and `device` is none of them
absl::StatusOr<std::unique_ptr<DeviceRuntime>> MakeCudaRuntime(int device);

}  // namespace evenkeel::client
