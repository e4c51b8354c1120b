#pragma once

#include "kernels/ieee.h"

namespace evenkeel {

// The block of threads that a kernel runs in, which runs text that is made of phases as emulated blocks do
// (emulated_block.h). `memory` is shared memory.
template <int kNumThreads, class Memory>
class DeviceBlock {
 public:
  static constexpr int kThreads = kNumThreads;

  __device__ explicit DeviceBlock(Memory& memory) : memory_(memory) {}

  template <typename Function>
  EVENKEEL_HD void Phase(Function function) {
#ifdef __CUDA_ARCH__
    function(static_cast<int>(threadIdx.x));
    __syncthreads();
#endif
  }

  EVENKEEL_HD Memory& memory() { return memory_; }

 private:
  Memory& memory_;
};

}  // namespace evenkeel
