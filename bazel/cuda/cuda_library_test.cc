// What cuda_library promises: host functions that link, kernels that run, and floating point that is not contracted.

#include "bazel/cuda/fused_product.h"
#include "gtest/gtest.h"

namespace evenkeel::cuda_testing {
namespace {

// (1 + 2^-12)^2 - 1 is 2^-11 + 2^-24, of which the rounded product has lost the last term.
constexpr float kFactor = 1 + 0x1p-12f;
constexpr float kRounded = 0x1p-11f;

TEST(CudaLibraryTest, TheHostHalfRounds) {
#if EVENKEEL_HAVE_CUDA
  EXPECT_EQ(ProductOnHost(kFactor, kFactor, -1), kRounded);
#else
  GTEST_SKIP() << "built without CUDA";
#endif
}

TEST(CudaLibraryTest, TheKernelRounds) {
#if EVENKEEL_HAVE_CUDA
  const Product product = ProductOnDevice(kFactor, kFactor, -1);
  if (!product.error.empty()) GTEST_SKIP() << "no GPU: " << product.error;
  EXPECT_EQ(product.value, kRounded);
#else
  GTEST_SKIP() << "built without CUDA";
#endif
}

}  // namespace
}  // namespace evenkeel::cuda_testing
