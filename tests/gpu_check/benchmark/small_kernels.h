#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::benchmarks {

// Each puts one kernel on the stream and returns; INTERNAL with CUDA's reason when it could not. Thread-safe.

// Writes `count` numbers of N(0, scale^2), as float32 or bfloat16, to memory of the device. Number i is made of seed
// and i alone.
absl::Status EnqueueNormal(uint64_t seed, float scale, routing::DType dtype, void* to, int64_t count,
                           CUstream_st* stream);

// What a launch takes when there is nothing to do.
absl::Status EnqueueNothing(CUstream_st* stream);

}  // namespace evenkeel::benchmarks
