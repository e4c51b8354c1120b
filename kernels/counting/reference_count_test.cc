// The contract of count.h by cases that are counted by hand.

#include "kernels/counting/reference_count.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::counting {
namespace {

using ::testing::ElementsAre;

constexpr int kExperts = 4;

// What is added to, with something there before.
class ReferenceCountTest : public testing::Test {
 protected:
  CountOutput Output() { return {counts_.data(), &stats_, &refused_}; }

  // Rows of two slots.
  template <typename Id>
  absl::Status CountIds(const std::vector<Id>& ids, const std::vector<uint8_t>& mask = {}, int64_t stride = 2) {
    IdsInput input;
    input.num_experts = kExperts;
    input.top_k = 2;
    input.ids = ids.data();
    input.id_type = sizeof(Id) == 4 ? routing::IdType::kInt32 : routing::IdType::kInt64;
    input.rows = (static_cast<int64_t>(ids.size()) + stride - 2) / stride;
    input.ids_stride = stride;
    input.valid_mask = mask.empty() ? nullptr : mask.data();
    return ReferenceCountIds(input, Output());
  }

  template <typename Count>
  absl::Status AddCounts(CountType type, const std::vector<Count>& counts, uint64_t valid_rows, uint64_t short_slots) {
    CountsInput input;
    input.num_experts = kExperts;
    input.top_k = 2;
    input.counts = counts.data();
    input.type = type;
    input.valid_rows = valid_rows;
    input.short_slots = short_slots;
    return ReferenceAddCounts(input, Output());
  }

  absl::Status AddAnySum(const std::vector<int64_t>& counts) {
    CountsInput input;
    input.num_experts = kExperts;
    input.top_k = 2;
    input.counts = counts.data();
    input.valid_rows = kMaxCount;  // not read
    input.short_slots = 1;
    input.any_sum = true;
    return ReferenceAddCounts(input, Output());
  }

  void ExpectOnlyRefused(uint64_t refused) {
    EXPECT_THAT(counts_, ElementsAre(100, 200, 300, 400));
    EXPECT_EQ(stats_.valid_rows, 1000);
    EXPECT_EQ(stats_.short_slots, 50);
    EXPECT_EQ(refused_, 7 + refused);
  }

  std::vector<uint64_t> counts_ = {100, 200, 300, 400};
  routing::RouteStats stats_ = {1000, 50};
  uint64_t refused_ = 7;
};

TEST_F(ReferenceCountTest, IdsAreAddedUp) {
  ASSERT_TRUE(CountIds<int32_t>({0, 3, 3, -1, -1, -1, 1, 3}).ok());
  EXPECT_THAT(counts_, ElementsAre(101, 201, 300, 403));
  EXPECT_EQ(stats_.valid_rows, 1004);
  EXPECT_EQ(stats_.short_slots, 53);
  EXPECT_EQ(refused_, 7);
}

TEST_F(ReferenceCountTest, WideIdsAndGapsBetweenRows) {
  ASSERT_TRUE(CountIds<int64_t>({0, 3, 77, 2, -1, 77, 1, 3}, {}, 3).ok());
  EXPECT_THAT(counts_, ElementsAre(101, 201, 301, 402));
  EXPECT_EQ(stats_.valid_rows, 1003);
  EXPECT_EQ(stats_.short_slots, 51);
  EXPECT_EQ(refused_, 7);
}

TEST_F(ReferenceCountTest, CountsOfAnySumLeaveTheTotalsAlone) {
  ASSERT_TRUE(AddAnySum({1, 0, 5, 0}).ok());
  EXPECT_THAT(counts_, ElementsAre(101, 200, 305, 400));
  EXPECT_EQ(stats_.valid_rows, 1000);
  EXPECT_EQ(stats_.short_slots, 50);
  EXPECT_EQ(refused_, 7);
}

TEST_F(ReferenceCountTest, ACountOfAnySumIsStillACount) {
  ASSERT_TRUE(AddAnySum({1, -1, 0, 0}).ok());
  ASSERT_TRUE(AddAnySum({1, 0, 0, static_cast<int64_t>(kMaxCount) + 1}).ok());
  ExpectOnlyRefused(2);
}

TEST_F(ReferenceCountTest, ARowWithAWrongIdIsRefusedWhole) {
  ASSERT_TRUE(CountIds<int32_t>({0, 4, -2, 1, 2, 2, -1, 5}).ok());
  ExpectOnlyRefused(4);
}

TEST_F(ReferenceCountTest, AWideIdIsNotCutShort) {
  const int64_t wide = int64_t{1} << 32;
  ASSERT_TRUE(CountIds<int64_t>({0, wide + 1, wide - 1, 1}).ok());
  ExpectOnlyRefused(2);
}

TEST_F(ReferenceCountTest, MaskedRowsAreNeitherCountedNorRefused) {
  ASSERT_TRUE(CountIds<int32_t>({0, 1, 9, 9, 2, 2, 3, -1}, {0, 0, 2, 255}).ok());
  EXPECT_THAT(counts_, ElementsAre(100, 200, 300, 401));
  EXPECT_EQ(stats_.valid_rows, 1001);
  EXPECT_EQ(stats_.short_slots, 51);
  EXPECT_EQ(refused_, 8);
}

TEST_F(ReferenceCountTest, NoRowsAreNothing) {
  IdsInput input;
  input.num_experts = kExperts;
  input.top_k = 2;
  ASSERT_TRUE(ReferenceCountIds(input, Output()).ok());
  ExpectOnlyRefused(0);
}

TEST_F(ReferenceCountTest, SumsAreAdded) {
  ASSERT_TRUE(AddCounts<int32_t>(CountType::kInt32, {1, 2, 3, 0}, 4, 2).ok());
  ASSERT_TRUE(AddCounts<int64_t>(CountType::kInt64, {1, 2, 3, 0}, 3, 0).ok());
  ASSERT_TRUE(AddCounts<float>(CountType::kFloat32, {1, 2, 3, -0.0f}, 3, 0).ok());
  EXPECT_THAT(counts_, ElementsAre(103, 206, 309, 400));
  EXPECT_EQ(stats_.valid_rows, 1010);
  EXPECT_EQ(stats_.short_slots, 52);
  EXPECT_EQ(refused_, 7);
}

TEST_F(ReferenceCountTest, SumsUpToTheirLimits) {
  const int64_t most = kMaxCount;
  ASSERT_TRUE(AddCounts<int64_t>(CountType::kInt64, {0, 0, most, 0}, kMaxCount / 2, 0).ok());
  ASSERT_TRUE(AddCounts<float>(CountType::kFloat32, {0x1p24f, 0, 0, 0x1p24f}, 1 << 24, 0).ok());
  EXPECT_THAT(counts_, ElementsAre(100 + (1 << 24), 200, 300 + kMaxCount, 400 + (1 << 24)));
  EXPECT_EQ(refused_, 7);
}

TEST_F(ReferenceCountTest, SumsThatCannotBeAreRefusedWhole) {
  ASSERT_TRUE(AddCounts<int32_t>(CountType::kInt32, {1, 2, 3, -1}, 3, 1).ok());
  ASSERT_TRUE(AddCounts<int32_t>(CountType::kInt32, {1, 2, 3, 0}, 4, 0).ok());
  ASSERT_TRUE(AddCounts<int32_t>(CountType::kInt32, {1, 2, 3, 0}, 3, 1).ok());
  const int64_t most = kMaxCount;
  ASSERT_TRUE(AddCounts<int64_t>(CountType::kInt64, {most, 2, 0, 0}, kMaxCount / 2, 0).ok());
  ASSERT_TRUE(AddCounts<int64_t>(CountType::kInt64, {most + 1, -1, 0, 0}, kMaxCount / 2, 0).ok());
  ASSERT_TRUE(AddCounts<int64_t>(CountType::kInt64, std::vector<int64_t>(4, int64_t{1} << 62), 0, 0).ok());
  ExpectOnlyRefused(6);
}

TEST_F(ReferenceCountTest, FloatsThatCountNothingAreRefused) {
  for (const float count : {0.5f, -1.0f, 0x1p24f + 2, INFINITY, -INFINITY, std::numeric_limits<float>::quiet_NaN()}) {
    ASSERT_TRUE(AddCounts<float>(CountType::kFloat32, {count, 0, 0, 0}, 1 << 24, 0).ok());
  }
  ASSERT_TRUE(AddCounts<float>(CountType::kFloat32, {0.5f, 1.5f, 0, 0}, 1, 0).ok());
  ASSERT_TRUE(AddCounts<float>(CountType::kFloat32, {0x1p24f + 2, 0, 0, 0}, (1 << 23) + 1, 0).ok());
  ExpectOnlyRefused(8);
}

TEST_F(ReferenceCountTest, AnswersWhatIsWrongWithTheCall) {
  EXPECT_EQ(CountIds<int32_t>({0, 1}, {}, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(AddCounts<int32_t>(CountType::kInt32, {0, 0, 0, 0}, 1, 3).code(), absl::StatusCode::kInvalidArgument);
  ExpectOnlyRefused(0);
}

}  // namespace
}  // namespace evenkeel::counting
