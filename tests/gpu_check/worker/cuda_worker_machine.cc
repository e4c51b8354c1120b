#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/device/cuda_runtime.h"
#include "cuda_runtime_api.h"
#include "tests/gpu_check/worker/worker_machine.h"

namespace evenkeel::gpu_check {
namespace {

absl::Status Checked(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // which remembers it, for who asks after a launch
  return absl::InternalError(absl::StrCat(call, ": ", cudaGetErrorString(error)));
}

class CudaWorkerMachine final : public WorkerMachine {
 public:
  explicit CudaWorkerMachine(std::unique_ptr<client::DeviceRuntime> runtime) : runtime_(std::move(runtime)) {}

  client::DeviceRuntime* runtime() override { return runtime_.get(); }

  // As a trainer does that forbids to all threads what could wait.
  absl::StatusOr<Replay> Capture(client::DeviceStream stream, const std::function<absl::Status()>& enqueue) override {
    EVENKEEL_RETURN_IF_ERROR(
        Checked("cudaStreamBeginCapture", cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal)));
    absl::Status status = enqueue();
    cudaGraph_t graph = nullptr;
    status.Update(Checked("cudaStreamEndCapture", cudaStreamEndCapture(stream, &graph)));
    cudaGraphExec_t executable = nullptr;
    if (status.ok()) status = Checked("cudaGraphInstantiate", cudaGraphInstantiate(&executable, graph, 0));
    if (graph != nullptr) status.Update(Checked("cudaGraphDestroy", cudaGraphDestroy(graph)));
    const std::shared_ptr<CUgraphExec_st> owned(executable, [](cudaGraphExec_t graph) {
      if (graph != nullptr) cudaGraphExecDestroy(graph);
    });
    if (!status.ok()) return status;
    return [owned, stream] { return Checked("cudaGraphLaunch", cudaGraphLaunch(owned.get(), stream)); };
  }

 private:
  const std::unique_ptr<client::DeviceRuntime> runtime_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerMachine>> MakeWorkerMachine() {
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<client::DeviceRuntime> runtime, client::MakeCudaRuntime(0));
  return std::make_unique<CudaWorkerMachine>(std::move(runtime));
}

}  // namespace evenkeel::gpu_check
