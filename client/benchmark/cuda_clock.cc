#include "absl/strings/str_cat.h"
#include "client/benchmark/device_clock.h"

#if EVENKEEL_HAVE_CUDA
#include <vector>

#include "base/status_macros.h"
#include "cuda_runtime_api.h"
#endif

namespace evenkeel::step_benchmark {

#if EVENKEEL_HAVE_CUDA
namespace {

absl::Status Checked(const char* call, cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(call, ": ", cudaGetErrorString(error)));
}

class CudaClock final : public DeviceClock {
 public:
  ~CudaClock() override {
    for (const cudaEvent_t mark : marks_) cudaEventDestroy(mark);
  }

  absl::StatusOr<int> Mark(client::DeviceStream stream) override {
    cudaEvent_t mark = nullptr;
    EVENKEEL_RETURN_IF_ERROR(Checked("cudaEventCreate", cudaEventCreate(&mark)));
    marks_.push_back(mark);
    EVENKEEL_RETURN_IF_ERROR(Checked("cudaEventRecord", cudaEventRecord(mark, stream)));
    return static_cast<int>(marks_.size()) - 1;
  }

  absl::StatusOr<double> Microseconds(int from, int to) override {
    float milliseconds = 0;
    EVENKEEL_RETURN_IF_ERROR(
        Checked("cudaEventElapsedTime", cudaEventElapsedTime(&milliseconds, marks_[from], marks_[to])));
    return 1000.0 * milliseconds;
  }

 private:
  std::vector<cudaEvent_t> marks_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceClock>> MakeCudaClock(int device) {
  EVENKEEL_RETURN_IF_ERROR(Checked("cudaSetDevice", cudaSetDevice(device)));
  return std::make_unique<CudaClock>();
}

#else

absl::StatusOr<std::unique_ptr<DeviceClock>> MakeCudaClock(int device) {
  return absl::UnimplementedError(absl::StrCat("CUDA device ", device, ": this was built without CUDA"));
}

#endif

}  // namespace evenkeel::step_benchmark
