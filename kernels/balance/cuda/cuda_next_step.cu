#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/balance/cuda/cuda_next_step.h"
#include "kernels/balance/cuda/take_next_step.h"
#include "kernels/device_block.cuh"

namespace evenkeel::balance {
namespace {

// One layer a thread in most models.
constexpr int kThreadsPerBlock = 128;

__global__ void __launch_bounds__(kThreadsPerBlock, 1) TakeNextStepInBlock(NextStep next) {
  __shared__ NoMemory memory;
  DeviceBlock<kThreadsPerBlock, NoMemory> block(memory);
  TakeNextStep(block, next);
}

}  // namespace

absl::Status EnqueueNextStep(const NextStep& next, CUstream_st* stream) {
  const absl::Status status = ValidateNextStep(next);
  if (!status.ok() || next.num_layers == 0) return status;

  NextStep argument = next;
  void* arguments[] = {&argument};
  const cudaError_t error =
      cudaLaunchKernel(TakeNextStepInBlock, dim3(1), dim3(kThreadsPerBlock), arguments, 0, stream);
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the next step was not launched: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::balance
