#pragma once

#include <cstdint>

struct CUstream_st;

// The approximating instructions of this GPU over all floats: what selection by approximate scores rests on.
namespace evenkeel::gpu_check {

struct ApproximationErrors {
  float sigmoid;         // the greatest |ApproximateSigmoid - Sigmoid|; infinite where one is NaN and the other is not
  float sqrt_softplus;   // the same of what is at most kApproximatedLogits, and NaN
  float reciprocal;      // the greatest |x ApproximateReciprocal(x) - 1| of x from 1 up to 2^100
  uint32_t numbers;      // how many were tried, modulo 2^32
  uint32_t reciprocals;  // of them, how many from 1 up to 2^100
};

// Of the floats whose bits are multiples of `step` > 0: adds to `errors`, on the device, which begins with zeros.
// Returns CUDA's reason if the kernel cannot be launched, else null.
const char* SweepApproximations(uint32_t step, ApproximationErrors* errors, CUstream_st* stream);

}  // namespace evenkeel::gpu_check
