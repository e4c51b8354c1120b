#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/cuda_runtime.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "client/reduce/staged_reducer.h"
#include "gtest/gtest.h"

// The real NCCL with one rank, as a GPU is no more than one rank of a communicator: it is found, makes a communicator
// that does not block, takes what is enqueued, and ends. What several ranks do, the tests of client/reduce show.
namespace evenkeel::gpu_check {
namespace {

constexpr std::chrono::milliseconds kTimeout(60'000);

class NcclTest : public testing::Test {
 protected:
  void SetUp() override {
    auto library = client::OpenNccl();
    if (!library.ok()) GTEST_SKIP() << library.status().message();
    library_ = *std::move(library);
    auto runtime = client::MakeCudaRuntime(0);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    runtime_ = *std::move(runtime);
    client::NcclOptions options;
    options.timeout = kTimeout;
    auto reducer = client::MakeNcclReducer(options, *library_, runtime_.get(), /*rendezvous=*/nullptr);
    ASSERT_TRUE(reducer.ok()) << reducer.status() << ", by " << library_->path << ", NCCL "
                              << client::NcclVersionName(library_->version);
    auto staged = client::MakeStagedReducer(*std::move(reducer), runtime_.get(), kTimeout);
    ASSERT_TRUE(staged.ok()) << staged.status();
    reducer_ = *std::move(staged);
  }

  std::unique_ptr<const client::NcclLibrary> library_;
  std::unique_ptr<client::DeviceRuntime> runtime_;
  std::unique_ptr<client::Reducer> reducer_;
};

TEST_F(NcclTest, SumsAndBroadcastsOfOneRankAreItsOwn) {
  std::mt19937_64 random(1);
  for (const size_t count : {1, 7, 61 * 256, 1'000'003, 2}) {
    std::vector<uint64_t> numbers(count);
    for (uint64_t& number : numbers) number = random();
    std::vector<uint64_t> reduced = numbers;
    const absl::Status summed = reducer_->Sum(absl::MakeSpan(reduced));
    ASSERT_TRUE(summed.ok()) << summed;
    EXPECT_EQ(reduced, numbers);
    const absl::Status sent =
        reducer_->Broadcast(absl::MakeSpan(reinterpret_cast<char*>(reduced.data()), count * sizeof(uint64_t) - 1));
    ASSERT_TRUE(sent.ok()) << sent;
    EXPECT_EQ(reduced, numbers);
  }
}

TEST_F(NcclTest, NothingComesAfterAnAbort) {
  std::vector<uint64_t> numbers(100, 1);
  EXPECT_TRUE(reducer_->Sum(absl::MakeSpan(numbers)).ok());
  reducer_->Abort();
  EXPECT_EQ(reducer_->Sum(absl::MakeSpan(numbers)).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace evenkeel::gpu_check
