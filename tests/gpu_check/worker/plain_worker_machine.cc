#include <cstdlib>

#include "base/status_macros.h"
#include "client/device/test_runtime.h"
#include "client/reduce/fake_nccl_path.h"
#include "tests/gpu_check/quick.h"
#include "tests/gpu_check/worker/worker_machine.h"

namespace evenkeel::gpu_check {
namespace {

using client::DeviceStream;

class PlainWorkerMachine final : public WorkerMachine {
 public:
  client::DeviceRuntime* runtime() override { return &runtime_; }

  absl::StatusOr<Replay> Capture(DeviceStream stream, const std::function<absl::Status()>& enqueue) override {
    runtime_.BeginCapture(stream);
    const absl::Status status = enqueue();
    const client::TestGraph graph = runtime_.EndCapture(stream);
    EVENKEEL_RETURN_IF_ERROR(status);
    return [this, graph, stream] {
      runtime_.LaunchGraph(graph, stream);
      return absl::OkStatus();
    };
  }

 private:
  client::TestRuntime runtime_;
};

}  // namespace

// Its libnccl is the double, and nothing runs in parallel: tests are small.
absl::StatusOr<std::unique_ptr<WorkerMachine>> MakeWorkerMachine() {
  SetQuick();
  setenv("EVENKEEL_NCCL_LIBRARY", client::kFakeNcclPath, 1);
  return std::make_unique<PlainWorkerMachine>();
}

}  // namespace evenkeel::gpu_check
