#include "absl/strings/str_cat.h"
#include "cuda_runtime_api.h"
#include "tests/gpu_check/device.h"

namespace evenkeel::gpu_check {
namespace {

absl::Status Checked(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // which remembers it, for who asks after a launch
  return absl::InternalError(absl::StrCat(call, ": ", cudaGetErrorString(error)));
}

}  // namespace

absl::StatusOr<DeviceMemory> DeviceMemory::Allocate(size_t bytes) {
  void* data = nullptr;
  const absl::Status status = Checked("cudaMalloc", cudaMalloc(&data, bytes));
  if (!status.ok()) return status;
  return DeviceMemory(static_cast<uint8_t*>(data));
}

// What fails here has failed before, and been reported.
void DeviceMemory::Free::operator()(uint8_t* data) const { cudaFree(data); }

absl::StatusOr<size_t> FreeDeviceMemory() {
  size_t free = 0;
  size_t total = 0;
  const absl::Status status = Checked("cudaMemGetInfo", cudaMemGetInfo(&free, &total));
  if (!status.ok()) return status;
  return free;
}

absl::StatusOr<DeviceStream> DeviceStream::Create() {
  cudaStream_t stream = nullptr;
  const absl::Status status = Checked("cudaStreamCreate", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  if (!status.ok()) return status;
  return DeviceStream(stream);
}

void DeviceStream::Destroy::operator()(CUstream_st* stream) const { cudaStreamDestroy(stream); }

absl::Status DeviceStream::CopyIn(void* device, const void* host, size_t bytes) const {
  return Checked("cudaMemcpyAsync", cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, get()));
}

absl::Status DeviceStream::CopyOut(void* host, const void* device, size_t bytes) const {
  return Checked("cudaMemcpyAsync", cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, get()));
}

absl::Status DeviceStream::Fill(void* device, uint8_t byte, size_t bytes) const {
  return Checked("cudaMemsetAsync", cudaMemsetAsync(device, byte, bytes, get()));
}

absl::Status DeviceStream::Synchronize() const {
  return Checked("cudaStreamSynchronize", cudaStreamSynchronize(get()));
}

absl::StatusOr<DeviceGraph> DeviceGraph::Capture(const DeviceStream& stream,
                                                 const std::function<absl::Status()>& enqueue) {
  absl::Status status =
      Checked("cudaStreamBeginCapture", cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  if (!status.ok()) return status;
  status = enqueue();
  cudaGraph_t graph = nullptr;
  status.Update(Checked("cudaStreamEndCapture", cudaStreamEndCapture(stream.get(), &graph)));
  cudaGraphExec_t executable = nullptr;
  if (status.ok()) status = Checked("cudaGraphInstantiate", cudaGraphInstantiate(&executable, graph, 0));
  if (graph != nullptr) status.Update(Checked("cudaGraphDestroy", cudaGraphDestroy(graph)));
  DeviceGraph captured(executable);
  if (!status.ok()) return status;
  return captured;
}

absl::Status DeviceGraph::Launch(const DeviceStream& stream) const {
  return Checked("cudaGraphLaunch", cudaGraphLaunch(graph_.get(), stream.get()));
}

void DeviceGraph::Destroy::operator()(CUgraphExec_st* graph) const { cudaGraphExecDestroy(graph); }

}  // namespace evenkeel::gpu_check
