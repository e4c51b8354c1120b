#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cuda_runtime_api.h"
#include "tests/gpu_check/benchmark/benchmark_device.h"

namespace evenkeel::benchmarks {
namespace {

absl::Status Checked(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // which remembers it, for who asks after a launch
  return absl::InternalError(absl::StrCat(call, ": ", cudaGetErrorString(error)));
}

}  // namespace

absl::StatusOr<int64_t> L2Bytes() {
  int device = 0;
  if (const absl::Status status = Checked("cudaGetDevice", cudaGetDevice(&device)); !status.ok()) {
    return absl::UnavailableError(status.message());
  }
  int bytes = 0;
  EVENKEEL_RETURN_IF_ERROR(
      Checked("cudaDeviceGetAttribute", cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device)));
  return bytes;
}

absl::StatusOr<DeviceEvent> DeviceEvent::Create() {
  cudaEvent_t event = nullptr;
  EVENKEEL_RETURN_IF_ERROR(Checked("cudaEventCreate", cudaEventCreate(&event)));
  return DeviceEvent(event);
}

// What fails here has failed before, and been reported.
void DeviceEvent::Destroy::operator()(CUevent_st* event) const { cudaEventDestroy(event); }

absl::Status DeviceEvent::Record(CUstream_st* stream) const {
  return Checked("cudaEventRecord", cudaEventRecord(event_.get(), stream));
}

absl::StatusOr<double> DeviceEvent::MicrosecondsSince(const DeviceEvent& begin) const {
  float milliseconds = 0;
  EVENKEEL_RETURN_IF_ERROR(
      Checked("cudaEventElapsedTime", cudaEventElapsedTime(&milliseconds, begin.event_.get(), event_.get())));
  return milliseconds * 1e3;
}

absl::Status EnqueueCopy(void* to, const void* from, size_t bytes, CUstream_st* stream) {
  return Checked("cudaMemcpyAsync", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
}

}  // namespace evenkeel::benchmarks
