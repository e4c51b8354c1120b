#pragma once

#include "absl/status/status.h"
#include "kernels/balance/cuda/next_step.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace evenkeel::balance {

// Enqueues one kernel of one block on `stream` of the current device, and where there are no layers nothing. Reads
// nothing of what `next` points to on the host, allocates nothing, waits for nothing, and may be captured. `next` is
// copied; what it points to is in the device's memory and belongs to the stream until the kernel has run.
//   INVALID_ARGUMENT  as ValidateNextStep() has it
//   INTERNAL          CUDA did not take the kernel, in its words
// Thread-safe.
absl::Status EnqueueNextStep(const NextStep& next, CUstream_st* stream);

}  // namespace evenkeel::balance
