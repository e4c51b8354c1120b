#pragma once

#include <cstdint>

#include "kernels/routing/route.h"

// Rows of the matrices of route.h, between their own types and float32. Pure; safe in any thread.
namespace evenkeel::routing {

// out[i] = matrix[begin + i], i < size, from `dtype`, exactly.
void ReadFloats(const void* matrix, DType dtype, int64_t begin, int size, float* out);

// matrix[begin + i] = in[i], i < size, as `dtype`, rounded to nearest even.
void WriteFloats(const float* in, int size, void* matrix, DType dtype, int64_t begin);

}  // namespace evenkeel::routing
