#include "client/device/cuda_runtime.h"

#include "absl/strings/str_cat.h"

#if EVENKEEL_HAVE_CUDA
#include <utility>

#include "base/status_macros.h"
#include "cuda_runtime_api.h"
#include "kernels/balance/cuda/cuda_next_step.h"
#include "kernels/balance/cuda/cuda_update.h"
#include "kernels/checksum/cuda/cuda_checksum.h"
#include "kernels/counting/cuda/cuda_count.h"
#include "kernels/routing/cuda/cuda_backward.h"
#include "kernels/routing/cuda/cuda_router.h"
#endif

namespace evenkeel::client {

#if EVENKEEL_HAVE_CUDA
namespace {

absl::Status Checked(absl::string_view call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // which remembers it, for who asks after a launch
  const std::string message = absl::StrCat(call, ": ", cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

// A call: the device is the thread's, and, while it lives, what CUDA forbids to all threads while one of them captures
// a graph (to allocate, to ask for an event) is not forbidden to this one.
class Call {
 public:
  explicit Call(int device) : status_(Checked("cudaSetDevice", cudaSetDevice(device))) {
    cudaThreadExchangeStreamCaptureMode(&mode_);
  }
  ~Call() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  const absl::Status status_;
};

std::string VersionName(int version) { return absl::StrCat(version / 1000, ".", version % 1000 / 10); }

absl::StatusOr<DeviceInfo> Describe(int device) {
  cudaDeviceProp properties;
  int driver = 0;
  int runtime = 0;
  EVENKEEL_RETURN_IF_ERROR(Checked("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties, device)));
  EVENKEEL_RETURN_IF_ERROR(Checked("cudaDriverGetVersion", cudaDriverGetVersion(&driver)));
  EVENKEEL_RETURN_IF_ERROR(Checked("cudaRuntimeGetVersion", cudaRuntimeGetVersion(&runtime)));
  DeviceInfo info;
  info.name = properties.name;
  info.compute_capability = 10 * properties.major + properties.minor;
  info.memory = properties.totalGlobalMem;
  info.driver_version = VersionName(driver);
  info.cuda_version = VersionName(runtime);
  return info;
}

class CudaRuntime final : public DeviceRuntime {
 public:
  // `zeros` is a stream of its own, which it destroys.
  CudaRuntime(int device, DeviceInfo info, cudaStream_t zeros)
      : device_(device), info_(std::move(info)), zeros_(zeros) {}
  ~CudaRuntime() override { DestroyStream(zeros_); }

  const DeviceInfo& info() const override { return info_; }

  absl::StatusOr<void*> Allocate(size_t bytes) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    void* memory = nullptr;
    EVENKEEL_RETURN_IF_ERROR(Checked(absl::StrCat("cudaMalloc of ", bytes, " bytes"), cudaMalloc(&memory, bytes)));
    absl::Status status = Checked("cudaMemsetAsync", cudaMemsetAsync(memory, 0, bytes, zeros_));
    if (status.ok()) status = Checked("cudaStreamSynchronize", cudaStreamSynchronize(zeros_));
    if (status.ok()) return memory;
    cudaFree(memory);
    return status;
  }

  absl::StatusOr<void*> AllocatePinned(size_t bytes) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    void* memory = nullptr;
    EVENKEEL_RETURN_IF_ERROR(
        Checked(absl::StrCat("cudaMallocHost of ", bytes, " bytes"), cudaMallocHost(&memory, bytes)));
    return memory;
  }

  // What fails in these has failed before, and been reported.

  void Free(void* memory) override {
    const Call call(device_);
    Ignore(cudaDeviceSynchronize());
    Ignore(cudaFree(memory));
  }
  void FreePinned(void* memory) override {
    const Call call(device_);
    Ignore(cudaDeviceSynchronize());
    Ignore(cudaFreeHost(memory));
  }
  void DestroyStream(DeviceStream stream) override {
    const Call call(device_);
    Ignore(cudaStreamDestroy(stream));
  }
  void DestroyEvent(DeviceEvent event) override {
    const Call call(device_);
    Ignore(cudaEventDestroy(event));
  }

  absl::StatusOr<DeviceStream> CreateStream() override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    DeviceStream stream = nullptr;
    EVENKEEL_RETURN_IF_ERROR(
        Checked("cudaStreamCreateWithFlags", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)));
    return stream;
  }

  absl::StatusOr<DeviceEvent> CreateEvent() override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    DeviceEvent event = nullptr;
    EVENKEEL_RETURN_IF_ERROR(
        Checked("cudaEventCreateWithFlags", cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
    return event;
  }

  absl::Status Record(DeviceEvent event, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Checked("cudaEventRecord", cudaEventRecord(event, stream));
  }

  absl::Status WaitOn(DeviceStream stream, DeviceEvent event) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Checked("cudaStreamWaitEvent", cudaStreamWaitEvent(stream, event, 0));
  }

  absl::StatusOr<bool> Happened(DeviceEvent event) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    const cudaError_t answer = cudaEventQuery(event);
    if (answer == cudaErrorNotReady) {
      cudaGetLastError();  // no error, and remembered as one
      return false;
    }
    EVENKEEL_RETURN_IF_ERROR(Checked("cudaEventQuery", answer));
    return true;
  }

  absl::StatusOr<bool> IsCapturing(DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t error = cudaStreamIsCapturing(stream, &status);
    if (error == cudaErrorStreamCaptureImplicit) {
      cudaGetLastError();  // no error: another stream captures, which the legacy default stream would wait for
      return true;
    }
    EVENKEEL_RETURN_IF_ERROR(Checked("cudaStreamIsCapturing", error));
    return status != cudaStreamCaptureStatusNone;
  }

  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Checked("cudaMemcpyAsync", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  }

  absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Checked("cudaMemsetAsync", cudaMemsetAsync(memory, 0, bytes, stream));
  }

  absl::Status Route(const routing::RouteSpec& spec, const routing::RouteInput& input,
                     const routing::RouteOutput& output, routing::RouteStats* stats, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(routing::RouteCuda(spec, input, output, stats, stream));
  }

  absl::Status RouteBackward(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                             const routing::RouteBackwardOutput& output, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(routing::RouteBackwardCuda(spec, input, output, stream));
  }

  absl::Status CountIds(const counting::IdsInput& input, const counting::CountOutput& output,
                        DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(counting::EnqueueCountIds(input, output, stream));
  }

  absl::Status AddCounts(const counting::CountsInput& input, const counting::CountOutput& output,
                         DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(counting::EnqueueAddCounts(input, output, stream));
  }

  absl::Status Checksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum,
                        DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(checksum::EnqueueChecksum(words, num_words, start, sum, stream));
  }

  absl::Status NextStep(const balance::NextStep& next, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return balance::EnqueueNextStep(next, stream);
  }

  absl::Status Update(const balance::FlatUpdate& update, DeviceStream stream) override {
    const Call call(device_);
    EVENKEEL_RETURN_IF_ERROR(call.status());
    return Launched(balance::EnqueueFlatUpdate(update, stream));
  }

 private:
  static void Ignore(cudaError_t error) { Checked("", error).IgnoreError(); }

  // What CUDA remembers of a launch that failed is told; the trainer is not to meet it as its own.
  static absl::Status Launched(const absl::Status& status) {
    if (absl::IsInternal(status)) cudaGetLastError();
    return status;
  }

  const int device_;
  const DeviceInfo info_;
  const cudaStream_t zeros_;  // fills what is allocated
};

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceRuntime>> MakeCudaRuntime(int device) {
  int devices = 0;
  cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices == 0) error = cudaErrorNoDevice;
  if (error != cudaSuccess) {
    return absl::UnavailableError(
        absl::StrCat("CUDA device ", device, ": ", Checked("cudaGetDeviceCount", error).message()));
  }
  if (device < 0 || device >= devices) {
    return absl::InvalidArgumentError(
        absl::StrCat("CUDA device ", device, " must lie in 0 .. ", devices - 1, ", the devices that there are"));
  }
  const Call call(device);
  EVENKEEL_RETURN_IF_ERROR(call.status());
  EVENKEEL_ASSIGN_OR_RETURN(DeviceInfo info, Describe(device));
  cudaStream_t zeros = nullptr;
  EVENKEEL_RETURN_IF_ERROR(
      Checked("cudaStreamCreateWithFlags", cudaStreamCreateWithFlags(&zeros, cudaStreamNonBlocking)));
  return std::make_unique<CudaRuntime>(device, std::move(info), zeros);
}

#else

absl::StatusOr<std::unique_ptr<DeviceRuntime>> MakeCudaRuntime(int device) {
  return absl::UnimplementedError(
      absl::StrCat("CUDA device ", device, ": this libevenkeel was built without CUDA; with it, it takes a GPU"));
}

#endif

}  // namespace evenkeel::client
