#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "client/device/device_runtime.h"

namespace evenkeel::client {

// The ranks of a group as one, on their devices: what each enqueues, all enqueue, in the same order and with the same
// sizes. Rank 0 is the leader. For one thread at a time, but for Health and Abort.
//
// Calls come back at once; what they enqueue runs when all ranks have enqueued it. Where a rank has ended or does not
// call, it never runs: whoever waits for it asks Health from time to time, gives up when it has waited long enough, and
// calls Abort.
class DeviceReducer {
 public:
  virtual ~DeviceReducer() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Adds up over the ranks, in place, element by element, modulo 2^64. `values` is memory of the device.
  virtual absl::Status EnqueueSum(uint64_t* values, size_t count, DeviceStream stream) = 0;

  // Gives every rank the leader's bytes. `bytes` is memory of the device.
  virtual absl::Status EnqueueBroadcast(void* bytes, size_t size, DeviceStream stream) = 0;

  // UNAVAILABLE when a rank, or the connection to it, is known to be lost; CANCELLED after Abort. From any thread, and
  // waits for nothing.
  virtual absl::Status Health() = 0;

  // Ends what is enqueued, with whatever is in its memory then, and every later call with CANCELLED; the other ranks
  // are not told. From any thread.
  virtual void Abort() = 0;
};

}  // namespace evenkeel::client
