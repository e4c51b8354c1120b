#pragma once

#include "absl/status/status.h"
#include "kernels/balance/cuda/flat_update.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace evenkeel::balance {

// Enqueues one kernel on `stream` of the current device, a block for each layer: Update() of all layers, with its bits.
// Reads nothing of what `update` points to on the host, allocates nothing, waits for nothing, and may be captured.
// `update` is copied; what it points to is in the device's memory and belongs to the stream until the kernel has run.
//   INVALID_ARGUMENT  num_layers is negative, or an address is null while there are layers
//   INTERNAL          CUDA did not take the kernel, in its words
// Thread-safe.
absl::Status EnqueueFlatUpdate(const FlatUpdate& update, CUstream_st* stream);

}  // namespace evenkeel::balance
