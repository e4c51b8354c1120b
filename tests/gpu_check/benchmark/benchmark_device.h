#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct CUstream_st;  // what a cudaStream_t points to
struct CUevent_st;   // what a cudaEvent_t points to

// What the benchmark needs of the current device beyond device.h, with the same errors and the same two
// implementations: by CUDA, and, to test the benchmark itself without a GPU, on the host.
namespace evenkeel::benchmarks {

// Of the L2 cache. UNAVAILABLE when there is no GPU, with CUDA's words.
absl::StatusOr<int64_t> L2Bytes();

// A mark on the time of the device.
class DeviceEvent {
 public:
  static absl::StatusOr<DeviceEvent> Create();

  // When what is on the stream so far has run.
  absl::Status Record(CUstream_st* stream) const;

  // From `begin` to this; both have been recorded, and the stream has come that far.
  absl::StatusOr<double> MicrosecondsSince(const DeviceEvent& begin) const;

 private:
  struct Destroy {
    void operator()(CUevent_st* event) const;
  };
  explicit DeviceEvent(CUevent_st* event) : event_(event) {}

  std::unique_ptr<CUevent_st, Destroy> event_;
};

// Within the memory of the device.
absl::Status EnqueueCopy(void* to, const void* from, size_t bytes, CUstream_st* stream);

}  // namespace evenkeel::benchmarks
