// Whether @cuda is what it says: a toolkit that compiles and links, or an empty stand-in.

#include "gtest/gtest.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

namespace {

TEST(CudaToolkitTest, RuntimeLinksAndHasTheVersionOfItsHeaders) {
#if EVENKEEL_HAVE_CUDA
  int version = 0;
  ASSERT_EQ(cudaRuntimeGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, CUDART_VERSION);
#else
  GTEST_SKIP() << "built without CUDA; CUDA_PATH names no toolkit";
#endif
}

TEST(CudaToolkitTest, ADeviceIsThere) {
#if EVENKEEL_HAVE_CUDA
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) GTEST_SKIP() << "this machine has no GPU; its tests are skipped";
  EXPECT_GT(devices, 0);
#else
  GTEST_SKIP() << "built without CUDA";
#endif
}

}  // namespace
