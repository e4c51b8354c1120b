#pragma once

#include "absl/status/status.h"
#include "kernels/counting/count.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::counting {

// The contract of count.h on a GPU, one kernel each: the sums of the reference. Every pointer of input and output is
// memory that the current device reads and writes, aligned to its type; outputs are added to atomically, so that
// streams may share them.
//
// Puts the kernel on the stream and returns: it reads nothing back, allocates nothing and waits for nothing, so it can
// be captured in a CUDA graph, whose replays count what the same pointers then hold. valid_rows and short_slots are
// part of what is captured.
//
// Errors: INVALID_ARGUMENT, as ValidateCount; INTERNAL with CUDA's reason when the kernel cannot be launched. Then
// nothing has been added. A fault of the kernel itself is reported by the stream.
//
// Thread safety: calls may run at the same time, on any streams.
absl::Status EnqueueCountIds(const IdsInput& input, const CountOutput& output, CUstream_st* stream);
absl::Status EnqueueAddCounts(const CountsInput& input, const CountOutput& output, CUstream_st* stream);

}  // namespace evenkeel::counting
