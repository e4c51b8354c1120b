#include "kernels/checksum/cuda/cuda_checksum.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/checksum/checksum.h"

#if EVENKEEL_HAVE_CUDA
#include "cuda_runtime_api.h"
#endif

namespace evenkeel::checksum {
namespace {

#if EVENKEEL_HAVE_CUDA
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CudaChecksumTest, RefusesSizesOutOfRange) {
  for (const int64_t words : {int64_t{-1}, kMaxWords + 1}) {
    const absl::Status status = EnqueueChecksum(nullptr, words, 0, nullptr, nullptr);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith("num_words is " + std::to_string(words)));
  }
}

TEST(CudaChecksumTest, GivesTheHostsBits) {
  int devices = 0;
  const bool has_gpu = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
  if (!has_gpu) {
    const absl::Status status = EnqueueChecksum(nullptr, 1, 0, nullptr, nullptr);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), HasSubstr("CUDA"));
    GTEST_SKIP() << "this machine has no GPU";
  }
  for (const int size : {0, 1, 255, 31'232, 1'000'003}) {
    std::vector<uint32_t> words(size);
    for (int i = 0; i < size; ++i) words[i] = i % 3 == 0 ? 0 : 2654435761u * i;
    void* memory = nullptr;  // the sum, and the words
    ASSERT_EQ(cudaMalloc(&memory, sizeof(uint64_t) + size * sizeof(uint32_t)), cudaSuccess);
    auto* const on_device = static_cast<uint64_t*>(memory);
    ASSERT_EQ(cudaMemset(on_device, 0, sizeof(uint64_t)), cudaSuccess);
    ASSERT_EQ(cudaMemcpy(on_device + 1, words.data(), size * sizeof(uint32_t), cudaMemcpyDefault), cudaSuccess);
    ASSERT_TRUE(EnqueueChecksum(on_device + 1, size, /*start=*/1, on_device, nullptr).ok());
    uint64_t sum = 0;
    ASSERT_EQ(cudaMemcpy(&sum, on_device, sizeof(sum), cudaMemcpyDefault), cudaSuccess);
    EXPECT_EQ(sum, Checksum(words.data(), size, /*start=*/1)) << size << " words";
    cudaFree(memory);
  }
}
#else
TEST(CudaChecksumTest, IsNotBuilt) { GTEST_SKIP() << "built without CUDA"; }
#endif

}  // namespace
}  // namespace evenkeel::checksum
