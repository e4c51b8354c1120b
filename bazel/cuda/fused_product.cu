#include "bazel/cuda/fused_product.h"

namespace evenkeel::cuda_testing {
namespace {

__host__ __device__ float ProductAndSum(float a, float b, float c) { return a * b + c; }

__global__ void Compute(float a, float b, float c, float* result) { *result = ProductAndSum(a, b, c); }

}  // namespace

float ProductOnHost(float a, float b, float c) { return ProductAndSum(a, b, c); }

Product ProductOnDevice(float a, float b, float c) {
  Product product;
  float* on_device = nullptr;
  cudaError_t error = cudaMalloc(&on_device, sizeof(float));
  if (error == cudaSuccess) {
    Compute<<<1, 1>>>(a, b, c, on_device);
    error = cudaMemcpy(&product.value, on_device, sizeof(float), cudaMemcpyDeviceToHost);
    cudaFree(on_device);
  }
  if (error != cudaSuccess) product.error = cudaGetErrorString(error);
  return product;
}

}  // namespace evenkeel::cuda_testing
