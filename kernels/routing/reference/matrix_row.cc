#include "kernels/routing/reference/matrix_row.h"

#include <algorithm>

#include "kernels/routing/half.h"

namespace evenkeel::routing {

void ReadFloats(const void* matrix, DType dtype, int64_t begin, int size, float* out) {
  if (dtype == DType::kF32) {
    std::copy_n(static_cast<const float*>(matrix) + begin, size, out);
    return;
  }
  const auto* narrow = static_cast<const uint16_t*>(matrix) + begin;
  std::transform(narrow, narrow + size, out, dtype == DType::kBF16 ? FloatFromBFloat16 : FloatFromHalf);
}

void WriteFloats(const float* in, int size, void* matrix, DType dtype, int64_t begin) {
  if (dtype == DType::kF32) {
    std::copy_n(in, size, static_cast<float*>(matrix) + begin);
    return;
  }
  auto* narrow = static_cast<uint16_t*>(matrix) + begin;
  std::transform(in, in + size, narrow, dtype == DType::kBF16 ? BFloat16FromFloat : HalfFromFloat);
}

}  // namespace evenkeel::routing
