#include <cuda_runtime.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernels/checksum/checksum.h"
#include "kernels/checksum/cuda/checksum_block.h"
#include "kernels/checksum/cuda/cuda_checksum.h"
#include "kernels/device_block.cuh"
#include "kernels/grid_size.cuh"

namespace evenkeel::checksum {
namespace {

// Few words a thread, for the array is in the cache and the kernel on the way of a step.
constexpr int kThreadsPerBlock = 256;
constexpr int kWordsPerThread = 4;
constexpr int kBlocksPerMultiprocessor = 4;

using SumBlock = DeviceBlock<kThreadsPerBlock, PartialSums<kThreadsPerBlock>>;

__global__ void __launch_bounds__(kThreadsPerBlock)
    AddChecksum(const Word* words, int64_t num_words, uint64_t start, uint64_t* sum) {
  __shared__ PartialSums<kThreadsPerBlock> memory;
  SumBlock block(memory);
  ChecksumInBlock(block, words, num_words, start, sum, blockIdx.x, gridDim.x);
}

}  // namespace

absl::Status EnqueueChecksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum, CUstream_st* stream) {
  if (num_words < 0 || num_words > kMaxWords) {
    return absl::InvalidArgumentError(absl::StrCat("num_words is ", num_words, "; 0 to ", kMaxWords, " are allowed"));
  }
  const auto* array = static_cast<const Word*>(words);
  unsigned blocks = 0;
  cudaError_t error = GridSize(num_words, kThreadsPerBlock * kWordsPerThread, kBlocksPerMultiprocessor, &blocks);
  if (error == cudaSuccess) {
    void* arguments[] = {&array, &num_words, &start, &sum};
    // Without words there is still the start.
    error = cudaLaunchKernel(AddChecksum, dim3(std::max(blocks, 1u)), dim3(kThreadsPerBlock), arguments, 0, stream);
  }
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot launch the checksum kernel: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::checksum
