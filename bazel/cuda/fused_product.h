#pragma once

#include <string>

// For the test of cuda_library: a * b + c, which nvcc may not fuse.
namespace evenkeel::cuda_testing {

struct Product {
  float value = 0;
  std::string error;  // empty when `value` is there
};

// By the host half of the library.
float ProductOnHost(float a, float b, float c);

// By a kernel, waited for. The error is CUDA's when there is no GPU.
Product ProductOnDevice(float a, float b, float c);

}  // namespace evenkeel::cuda_testing
