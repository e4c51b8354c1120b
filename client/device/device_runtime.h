#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/balance/cuda/flat_update.h"
#include "kernels/balance/cuda/next_step.h"
#include "kernels/counting/count.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_backward.h"

struct CUstream_st;  // what a cudaStream_t points to
struct CUevent_st;   // what a cudaEvent_t points to

namespace evenkeel::client {

using DeviceStream = CUstream_st*;  // null: the legacy default stream
using DeviceEvent = CUevent_st*;

// What people are told of a device.
struct DeviceInfo {
  std::string name;            // "NVIDIA H200"
  int compute_capability = 0;  // times ten: 90 for 9.0
  uint64_t memory = 0;         // bytes
  std::string driver_version;
  std::string cuda_version;
};

// All that the client asks of CUDA, for one device: tests stand in for it with host memory and streams of their own.
//
// What is "enqueued" comes back at once and runs later, in the order of its stream; memory that it names must live and
// stay untouched until then. Kernels allocate nothing and wait for nothing, and may be captured in a CUDA graph.
//
// Errors: INTERNAL with the call and CUDA's reason, which may be of anything that ran before; kernels also refuse their
// arguments as their own contracts say. RESOURCE_EXHAUSTED where there is no memory.
//
// Thread-safe. Every call makes the device current for the calling thread, and leaves it so.
class DeviceRuntime {
 public:
  virtual ~DeviceRuntime() = default;

  virtual const DeviceInfo& info() const = 0;

  // Memory of the device, filled with 0 when the call returns; and memory of the host that the device copies from and
  // to on its own. To be freed by Free and FreePinned, which wait until the device is idle; null is no error.
  virtual absl::StatusOr<void*> Allocate(size_t bytes) = 0;
  virtual absl::StatusOr<void*> AllocatePinned(size_t bytes) = 0;
  virtual void Free(void* memory) = 0;
  virtual void FreePinned(void* memory) = 0;

  // A stream that waits for no other, and an event without a time.
  virtual absl::StatusOr<DeviceStream> CreateStream() = 0;
  virtual void DestroyStream(DeviceStream stream) = 0;
  virtual absl::StatusOr<DeviceEvent> CreateEvent() = 0;
  virtual void DestroyEvent(DeviceEvent event) = 0;

  // Enqueues: the event happens when all that is on the stream has run. An event recorded again is the newer one.
  virtual absl::Status Record(DeviceEvent event, DeviceStream stream) = 0;
  // Enqueues: what comes later on the stream waits for the event as it was last recorded; one that never was recorded
  // has happened.
  virtual absl::Status WaitOn(DeviceStream stream, DeviceEvent event) = 0;
  // Whether the event has happened. Does not wait.
  virtual absl::StatusOr<bool> Happened(DeviceEvent event) = 0;

  // Whether what is enqueued on the stream is captured in a CUDA graph, in place of running.
  virtual absl::StatusOr<bool> IsCapturing(DeviceStream stream) = 0;

  // Enqueue. Addresses are of the device or pinned.
  virtual absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) = 0;
  virtual absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) = 0;

  // Enqueue the kernels: kernels/routing, kernels/counting, kernels/checksum, kernels/balance. Addresses are of the
  // device; `stats` and counts are added to atomically.
  virtual absl::Status Route(const routing::RouteSpec& spec, const routing::RouteInput& input,
                             const routing::RouteOutput& output, routing::RouteStats* stats, DeviceStream stream) = 0;
  virtual absl::Status RouteBackward(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                                     const routing::RouteBackwardOutput& output, DeviceStream stream) = 0;
  virtual absl::Status CountIds(const counting::IdsInput& input, const counting::CountOutput& output,
                                DeviceStream stream) = 0;
  virtual absl::Status AddCounts(const counting::CountsInput& input, const counting::CountOutput& output,
                                 DeviceStream stream) = 0;
  // As checksum::EnqueueChecksum: added to *sum, which is 0 before.
  virtual absl::Status Checksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum,
                                DeviceStream stream) = 0;
  virtual absl::Status NextStep(const balance::NextStep& next, DeviceStream stream) = 0;
  virtual absl::Status Update(const balance::FlatUpdate& update, DeviceStream stream) = 0;
};

}  // namespace evenkeel::client
