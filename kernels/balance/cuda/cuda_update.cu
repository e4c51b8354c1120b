#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/balance/cuda/cuda_update.h"
#include "kernels/balance/cuda/flat_layer_update.h"
#include "kernels/device_block.cuh"

namespace evenkeel::balance {
namespace {

// One expert a thread in most models.
constexpr int kThreadsPerBlock = 256;

__global__ void __launch_bounds__(kThreadsPerBlock, 1) UpdateFlatLayers(FlatUpdate update) {
  __shared__ BlockMemory<kThreadsPerBlock> memory;
  DeviceBlock<kThreadsPerBlock, BlockMemory<kThreadsPerBlock>> block(memory);
  UpdateFlatLayer(block, update, static_cast<int>(blockIdx.x));
}

absl::Status Missing(const char* field) {
  return absl::InvalidArgumentError(absl::StrCat("FlatUpdate.", field, " is null; it must be the device's memory"));
}

absl::Status CheckAddresses(const FlatUpdate& update) {
  if (update.layers == nullptr) return Missing("layers");
  if (update.step == nullptr) return Missing("step");
  if (update.rates == nullptr) return Missing("rates");
  if (update.counts == nullptr) return Missing("counts");
  if (update.tokens == nullptr) return Missing("tokens");
  if (update.bias == nullptr) return Missing("bias");
  if (update.ema == nullptr) return Missing("ema");
  if (update.pending == nullptr) return Missing("pending");
  if (update.scalars == nullptr) return Missing("scalars");
  if (update.refused == nullptr) return Missing("refused");
  return absl::OkStatus();
}

}  // namespace

absl::Status EnqueueFlatUpdate(const FlatUpdate& update, CUstream_st* stream) {
  if (update.num_layers < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("FlatUpdate.num_layers is ", update.num_layers, "; it must not be negative"));
  }
  if (update.num_layers == 0) return absl::OkStatus();
  if (absl::Status status = CheckAddresses(update); !status.ok()) return status;

  FlatUpdate argument = update;
  void* arguments[] = {&argument};
  const cudaError_t error =
      cudaLaunchKernel(UpdateFlatLayers, dim3(update.num_layers), dim3(kThreadsPerBlock), arguments, 0, stream);
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the balance update was not launched: ", cudaGetErrorString(error)));
}

}  // namespace evenkeel::balance
