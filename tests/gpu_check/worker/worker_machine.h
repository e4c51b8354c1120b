#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"

namespace evenkeel::gpu_check {

// What the tests of the worker's device part need of a GPU. cuda_worker_machine.cc has it from CUDA; in
// plain_worker_machine.cc it is a TestRuntime, on which the tests are tested themselves, without a GPU.
class WorkerMachine {
 public:
  // Enqueues once more what was captured: the same kernels, with the same arguments.
  using Replay = std::function<absl::Status()>;

  virtual ~WorkerMachine() = default;

  virtual client::DeviceRuntime* runtime() = 0;

  // What `enqueue` puts on `stream`, which is not the legacy default one; nothing of it runs. The replay goes to the
  // same stream. Errors are those of `enqueue`, and INTERNAL with CUDA's reason.
  virtual absl::StatusOr<Replay> Capture(client::DeviceStream stream, const std::function<absl::Status()>& enqueue) = 0;
};

absl::StatusOr<std::unique_ptr<WorkerMachine>> MakeWorkerMachine();

}  // namespace evenkeel::gpu_check
