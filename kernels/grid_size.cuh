#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

namespace evenkeel {

// The blocks for so many rows, which walk over them: no more than run at a time on the current device.
inline cudaError_t GridSize(int64_t rows, int rows_at_a_time, int blocks_per_multiprocessor, unsigned* blocks) {
  int device = 0;
  int multiprocessors = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  const int64_t resident = static_cast<int64_t>(multiprocessors) * blocks_per_multiprocessor;
  *blocks = static_cast<unsigned>(std::min((rows + rows_at_a_time - 1) / rows_at_a_time, resident));
  return error;
}

}  // namespace evenkeel
