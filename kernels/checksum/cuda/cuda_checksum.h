#pragma once

#include <cstdint>

#include "absl/status/status.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::checksum {

// The checksum of checksum.h on a GPU, by one kernel: it is added to *sum, atomically, which is 0 before. Both
// addresses are of memory that the current device reads and writes.
//
// Puts the kernel on the stream and returns: it reads nothing back, allocates nothing and waits for nothing, so it can
// be captured in a CUDA graph.
//
// Errors: INVALID_ARGUMENT for num_words outside of 0 .. kMaxWords; INTERNAL with CUDA's reason when the kernel cannot
// be launched. A fault of the kernel itself is reported by the stream.
//
// Thread safety: calls may run at the same time, on any streams.
absl::Status EnqueueChecksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum, CUstream_st* stream);

}  // namespace evenkeel::checksum
