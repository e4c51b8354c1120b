#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct CUstream_st;     // what a cudaStream_t points to
struct CUgraphExec_st;  // what a cudaGraphExec_t points to

// What the tests need of a GPU: memory, streams and graphs, on the current device. cuda_device.cc has it from CUDA.
// plain_device.cc has it from the memory of the host, and the kernels on emulated lanes: there the tests of this folder
// are tested themselves, without a GPU.
//
// Errors are INTERNAL, with the call and CUDA's reason.
namespace evenkeel::gpu_check {

// Memory of the device, exactly as long as asked for: compute-sanitizer sees one step too far.
class DeviceMemory {
 public:
  static absl::StatusOr<DeviceMemory> Allocate(size_t bytes);

  uint8_t* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(uint8_t* data) const;
  };
  explicit DeviceMemory(uint8_t* data) : data_(data) {}

  std::unique_ptr<uint8_t, Free> data_;
};

absl::StatusOr<size_t> FreeDeviceMemory();

// A stream that waits for no other. Memory of the host that it copies must live until Synchronize() has returned.
class DeviceStream {
 public:
  static absl::StatusOr<DeviceStream> Create();

  CUstream_st* get() const { return stream_.get(); }
  absl::Status CopyIn(void* device, const void* host, size_t bytes) const;
  absl::Status CopyOut(void* host, const void* device, size_t bytes) const;
  absl::Status Fill(void* device, uint8_t byte, size_t bytes) const;

  // Waits for what is on the stream. The error may be of anything that ran before.
  absl::Status Synchronize() const;

 private:
  struct Destroy {
    void operator()(CUstream_st* stream) const;
  };
  explicit DeviceStream(CUstream_st* stream) : stream_(stream) {}

  std::unique_ptr<CUstream_st, Destroy> stream_;
};

class DeviceGraph {
 public:
  // What `enqueue` puts on the stream, which does not run. Its error is passed on.
  static absl::StatusOr<DeviceGraph> Capture(const DeviceStream& stream, const std::function<absl::Status()>& enqueue);

  absl::Status Launch(const DeviceStream& stream) const;

 private:
  struct Destroy {
    void operator()(CUgraphExec_st* graph) const;
  };
  explicit DeviceGraph(CUgraphExec_st* graph) : graph_(graph) {}

  std::unique_ptr<CUgraphExec_st, Destroy> graph_;
};

}  // namespace evenkeel::gpu_check
