#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"
#include "kernels/counting/cuda/add_counts.h"
#include "kernels/counting/cuda/count_ids.h"
#include "kernels/counting/cuda/cuda_count.h"
#include "kernels/device_block.cuh"
#include "kernels/grid_size.cuh"

namespace evenkeel::counting {
namespace {

// Small blocks, so that a batch of some ten thousand rows, a thread each, is on every multiprocessor; few of them at a
// time, as each adds a count of each expert to the totals, and fewer where a row takes many registers.
constexpr int kThreadsPerBlock = 256;
template <int kSlots>
inline constexpr int kBlocksPerMultiprocessor = kSlots <= 16 ? 4 : 2;

using IdsBlock = DeviceBlock<kThreadsPerBlock, CountMemory>;
using SumsBlock = DeviceBlock<kThreadsPerBlock, SumMemory<kThreadsPerBlock>>;

// CountMemoryBytes of shared memory.
template <int kSlots, typename Id>
__global__ void __launch_bounds__(kThreadsPerBlock, kBlocksPerMultiprocessor<kSlots>)
    CountIds(const __grid_constant__ IdsInput input, const __grid_constant__ CountOutput output) {
  extern __shared__ CountMemory count_memory[];
  IdsBlock block(*count_memory);
  CountIdsInBlock<kSlots, Id>(block, input, output, {blockIdx.x, gridDim.x});
}

template <typename Count>
__global__ void __launch_bounds__(kThreadsPerBlock)
    AddCounts(const __grid_constant__ CountsInput input, const __grid_constant__ CountOutput output) {
  __shared__ SumMemory<kThreadsPerBlock> memory;
  SumsBlock block(memory);
  AddCountsInBlock<Count>(block, input, output);
}

// Shared memory that a kernel gets without being asked for more.
constexpr size_t kSharedBytesAtHand = 48 << 10;

template <int kSlots, typename Id>
cudaError_t LaunchCountIds(IdsInput input, CountOutput output, CUstream_st* stream) {
  const auto kernel = CountIds<kSlots, Id>;
  const size_t bytes = CountMemoryBytes(input.num_experts);
  unsigned blocks = 0;
  cudaError_t error = GridSize(input.rows, kRowsAtATime<kSlots, IdsBlock>, kBlocksPerMultiprocessor<kSlots>, &blocks);
  if (error == cudaSuccess && bytes > kSharedBytesAtHand) {
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(CountMemory));
  }
  if (error != cudaSuccess) return error;
  void* arguments[] = {&input, &output};
  return cudaLaunchKernel(kernel, dim3(blocks), dim3(kThreadsPerBlock), arguments, bytes, stream);
}

template <typename Count>
cudaError_t LaunchAddCounts(CountsInput input, CountOutput output, CUstream_st* stream) {
  void* arguments[] = {&input, &output};
  return cudaLaunchKernel(AddCounts<Count>, dim3(1), dim3(kThreadsPerBlock), arguments, 0, stream);
}

absl::Status Launched(cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot launch the counting kernel: ", cudaGetErrorString(error)));
}

}  // namespace

absl::Status EnqueueCountIds(const IdsInput& input, const CountOutput& output, CUstream_st* stream) {
  const absl::Status status = ValidateCount(input, output);
  if (!status.ok() || input.rows == 0) return status;
  return Launched(CallForIds(input, [&](auto slots, auto id) {
    return LaunchCountIds<decltype(slots)::value, decltype(id)>(input, output, stream);
  }));
}

absl::Status EnqueueAddCounts(const CountsInput& input, const CountOutput& output, CUstream_st* stream) {
  const absl::Status status = ValidateCount(input, output);
  if (!status.ok()) return status;
  return Launched(
      CallForCounts(input, [&](auto count) { return LaunchAddCounts<decltype(count)>(input, output, stream); }));
}

}  // namespace evenkeel::counting
