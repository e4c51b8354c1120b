#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/cuda/device_lanes.cuh"
#include "tests/gpu_check/approximation_sweep.h"

namespace evenkeel::gpu_check {
namespace {

using routing::device::warp::ApproximateReciprocal;
using routing::device::warp::ApproximateSigmoid;
using routing::device::warp::ApproximateSqrtSoftplus;

__device__ float ErrorOf(float approximate, float exact) {
  if (isnan(approximate) != isnan(exact)) return INFINITY;
  return isnan(exact) ? 0 : fabsf(approximate - exact);
}

// Of floats that are not negative, as their bits are ordered as they are.
__device__ void RaiseTo(float* greatest, float value) {
  const uint32_t of_warp = __reduce_max_sync(0xffffffffu, ieee::Bits(value));
  if (threadIdx.x % 32 == 0) atomicMax(reinterpret_cast<uint32_t*>(greatest), of_warp);
}

__global__ void Sweep(uint32_t step, ApproximationErrors* errors) {
  constexpr uint64_t kEnd = uint64_t{1} << 32;
  const uint64_t stride = uint64_t{step} * gridDim.x * blockDim.x;
  const uint64_t first = uint64_t{step} * (uint64_t{blockIdx.x} * blockDim.x + threadIdx.x);
  float sigmoid = 0;
  float sqrt_softplus = 0;
  float reciprocal = 0;
  uint32_t numbers = 0;
  uint32_t reciprocals = 0;
  for (uint64_t bits = first; bits < kEnd; bits += stride) {
    const float x = ieee::FromBits(static_cast<uint32_t>(bits));
    sigmoid = fmaxf(sigmoid, ErrorOf(ApproximateSigmoid(x), routing::Sigmoid(x)));
    if (!(x > routing::kApproximatedLogits)) {
      sqrt_softplus = fmaxf(sqrt_softplus, ErrorOf(ApproximateSqrtSoftplus(x), routing::SqrtSoftplus(x)));
    }
    ++numbers;
    if (x >= 1 && x <= 0x1p100f) {
      reciprocal = fmaxf(reciprocal, fabsf(fmaf(x, ApproximateReciprocal(x), -1.0f)));
      ++reciprocals;
    }
  }
  __syncwarp();  // its lanes have not all done as many
  RaiseTo(&errors->sigmoid, sigmoid);
  RaiseTo(&errors->sqrt_softplus, sqrt_softplus);
  RaiseTo(&errors->reciprocal, reciprocal);
  atomicAdd(&errors->numbers, numbers);
  atomicAdd(&errors->reciprocals, reciprocals);
}

}  // namespace

const char* SweepApproximations(uint32_t step, ApproximationErrors* errors, CUstream_st* stream) {
  void* arguments[] = {&step, &errors};
  const cudaError_t error = cudaLaunchKernel(Sweep, dim3(2048), dim3(256), arguments, 0, stream);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace evenkeel::gpu_check
