#include "client/worker/counting.h"

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/balance/update.h"

namespace evenkeel::client {
namespace {

Ids Of(const int32_t* ids, int64_t rows, const uint8_t* valid_mask) { return {rows, ids, 0, valid_mask}; }

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();

// Everything that a refusal must leave as it was.
void ExpectUntouched(const LayerCounts& counts) {
  EXPECT_THAT(counts.counts(), Each(0));
  EXPECT_EQ(counts.tokens(), 0);
  EXPECT_EQ(counts.short_slots(), 0);
}

TEST(AddIdsTest, CountsAssignmentsTokensAndShortSlots) {
  LayerCounts counts(4, 2);
  const std::vector<int32_t> ids = {0, 3, 3, 1, 2, -1, -1, -1};
  ASSERT_TRUE(counts.AddIds(Of(ids.data(), 4, nullptr)).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(1, 1, 1, 2));
  EXPECT_EQ(counts.tokens(), 4);
  EXPECT_EQ(counts.short_slots(), 3);
}

TEST(AddIdsTest, MaskedRowsAreNeitherCountedNorLookedAt) {
  LayerCounts counts(4, 2);
  const std::vector<int32_t> ids = {0, 3, 99, 99, 2, -1};
  const std::vector<uint8_t> valid_mask = {1, 0, 255};
  ASSERT_TRUE(counts.AddIds(Of(ids.data(), 3, valid_mask.data())).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(1, 0, 1, 1));
  EXPECT_EQ(counts.tokens(), 2);
  EXPECT_EQ(counts.short_slots(), 1);
}

TEST(AddIdsTest, RefusesBadRowsAndCountsNothing) {
  struct Case {
    std::vector<int32_t> ids;
    std::string row;
    std::string id;
  };
  const std::vector<Case> cases = {
      {{0, 1, 4, 1}, "row 1", "4"},
      {{-2, 1, 0, 1}, "row 0", "-2"},
      {{0, 1, 2, 2}, "row 1", "2 twice"},
      {{0, std::numeric_limits<int32_t>::min(), 0, 1}, "row 0", "-2147483648"},
  };
  for (const Case& bad : cases) {
    LayerCounts counts(4, 2);
    const absl::Status status = counts.AddIds(Of(bad.ids.data(), 2, nullptr));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(bad.row), HasSubstr(bad.id)));
    ExpectUntouched(counts);
  }
}

TEST(AddIdsTest, TheSameIdInTwoRowsOrTwoCallsIsNoRepetition) {
  LayerCounts counts(2, 1);
  const std::vector<int32_t> ids = {1, 1};
  ASSERT_TRUE(counts.AddIds(Of(ids.data(), 2, nullptr)).ok());
  ASSERT_TRUE(counts.AddIds(Of(ids.data(), 2, nullptr)).ok());
  counts.Clear();
  ASSERT_TRUE(counts.AddIds(Of(ids.data(), 2, nullptr)).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(0, 2));
}

TEST(AddIdsTest, RefusesRowsThatAreNone) {
  LayerCounts counts(4, 2);
  EXPECT_THAT(std::string(counts.AddIds(Of(nullptr, -1, nullptr)).message()), HasSubstr("rows is -1"));
  EXPECT_THAT(std::string(counts.AddIds(Of(nullptr, 1, nullptr)).message()), HasSubstr("ids is null"));
  EXPECT_TRUE(counts.AddIds(Of(nullptr, 0, nullptr)).ok());
  ExpectUntouched(counts);
}

TEST(AddCountsTest, AddsUp) {
  LayerCounts counts(3, 2);
  const std::vector<uint64_t> first = {4, 3, 1};
  const std::vector<uint64_t> second = {1, 1, 0};
  ASSERT_TRUE(counts.AddCounts(first.data(), 4, 0).ok());
  ASSERT_TRUE(counts.AddCounts(second.data(), 2, 2).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(5, 4, 1));
  EXPECT_EQ(counts.tokens(), 6);
  EXPECT_EQ(counts.short_slots(), 2);
}

TEST(AddCountsTest, RefusesCountsThatDoNotAddUp) {
  struct Case {
    std::vector<uint64_t> values;
    uint64_t tokens;
    uint64_t short_slots;
    std::string named;
  };
  const std::vector<Case> cases = {
      {{4, 3, 2}, 4, 0, "add up to 9"},
      {{4, 3, 1}, 4, 1, "short_slots 1"},
      {{0, 0, 0}, 1, 3, "short_slots 3"},
      {{0, 0, 0}, 1, kLargest, "short_slots"},
      // Modulo 2^64 they would be 8.
      {{kLargest, 5, 4}, 4, 0, "expert 0"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.named);
    LayerCounts counts(3, 2);
    const absl::Status status = counts.AddCounts(bad.values.data(), bad.tokens, bad.short_slots);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.named));
    ExpectUntouched(counts);
  }
  LayerCounts counts(3, 2);
  EXPECT_THAT(std::string(counts.AddCounts(nullptr, 0, 0).message()), HasSubstr("counts is null"));
}

TEST(AddCountsTest, AChecksAnswerIsThatOfCounting) {
  LayerCounts counts(3, 2);
  const std::vector<uint64_t> good = {2, 1, 0};
  EXPECT_TRUE(counts.CheckCounts(good.data(), 2, 1).ok());
  EXPECT_EQ(counts.CheckCounts(good.data(), 2, 0), LayerCounts(3, 2).AddCounts(good.data(), 2, 0));
  const std::vector<int32_t> ids = {0, 1, 1, -1, 2, 2};
  EXPECT_TRUE(counts.CheckIds({2, ids.data()}).ok());
  EXPECT_EQ(counts.CheckIds({3, ids.data()}), LayerCounts(3, 2).AddIds({3, ids.data()}));
  ExpectUntouched(counts);
}

TEST(AddCountsTest, AStepHoldsNoMoreAssignmentsThanAnUpdate) {
  constexpr uint64_t kRoom = balance::kMaxCountSum / 2;
  LayerCounts counts(2, 2);
  const std::vector<uint64_t> all = {kRoom, kRoom};
  const std::vector<uint64_t> one = {1, 1};
  ASSERT_TRUE(counts.AddCounts(all.data(), kRoom, 0).ok());
  const absl::Status status = counts.AddCounts(one.data(), 1, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2^48"));
  EXPECT_THAT(counts.counts(), ElementsAre(kRoom, kRoom));
  EXPECT_FALSE(counts.CheckRoom(1).ok());
  EXPECT_FALSE(counts.CheckRoom(kLargest).ok());
  EXPECT_TRUE(counts.CheckRoom(0).ok());
}

// Counting rows in any number of calls, or their sums, comes to the same.
TEST(AddSumsTest, AddsUpAndLeavesTheTotalsAlone) {
  LayerCounts counts(3, 2);
  const uint64_t sums[] = {5, 0, 2};
  ASSERT_TRUE(counts.AddSums(sums).ok());
  ASSERT_TRUE(counts.AddSums(sums).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(10, 0, 4));
  EXPECT_EQ(counts.tokens(), 0u);
  EXPECT_EQ(counts.short_slots(), 0u);
  const uint64_t more[] = {1, 0, balance::kMaxCountSum - 3};
  EXPECT_THAT(std::string(counts.AddSums(more).message()), HasSubstr("expert 2 has 281474976710653 more"));
  EXPECT_FALSE(counts.AddSums(nullptr).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(10, 0, 4));
}

TEST(LayerCountsTest, MicroBatchesAddUp) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    const int experts = 1 + static_cast<int>(random() % 9);
    const int top_k = 1 + static_cast<int>(random() % experts);
    LayerCounts whole(experts, top_k);
    LayerCounts split(experts, top_k);
    LayerCounts summed(experts, top_k);
    std::vector<int32_t> ids;
    std::vector<uint8_t> mask;
    for (int batch = 0; batch < 4; ++batch) {
      const int64_t rows = random() % 20;
      const size_t first = mask.size();
      for (int64_t row = 0; row < rows; ++row) {
        mask.push_back(random() % 4 != 0);
        const int start = static_cast<int>(random() % experts);
        for (int slot = 0; slot < top_k; ++slot) ids.push_back(random() % 8 == 0 ? -1 : (start + slot) % experts);
      }
      LayerCounts part(experts, top_k);
      ASSERT_TRUE(split.AddIds(Of(ids.data() + first * top_k, rows, mask.data() + first)).ok());
      ASSERT_TRUE(part.AddIds(Of(ids.data() + first * top_k, rows, mask.data() + first)).ok());
      ASSERT_TRUE(summed.AddCounts(part.counts().data(), part.tokens(), part.short_slots()).ok());
    }
    ASSERT_TRUE(whole.AddIds(Of(ids.data(), static_cast<int64_t>(mask.size()), mask.data())).ok());
    for (const LayerCounts* other : {&split, &summed}) {
      EXPECT_EQ(whole.counts(), other->counts());
      EXPECT_EQ(whole.tokens(), other->tokens());
      EXPECT_EQ(whole.short_slots(), other->short_slots());
    }
    uint64_t sum = whole.short_slots();
    for (const uint64_t count : whole.counts()) sum += count;
    EXPECT_EQ(sum, top_k * whole.tokens());
  }
}

TEST(LayerCountsTest, IdsMayBeOf64BitsAndApart) {
  const std::vector<int64_t> ids = {2, 0, 99, 1, -1, 99, 2, 1, 99};
  LayerCounts counts(3, 2);
  ASSERT_TRUE(counts.AddIds({3, ids.data(), 3, nullptr, IntType::kInt64}).ok());
  EXPECT_THAT(counts.counts(), ElementsAre(1, 2, 2));
  EXPECT_EQ(counts.short_slots(), 1);
  const std::vector<int64_t> wide = {(int64_t{1} << 32) + 1, 0};
  EXPECT_FALSE(counts.AddIds({1, wide.data(), 0, nullptr, IntType::kInt64}).ok()) << "is not 1";
  EXPECT_THAT(std::string(counts.AddIds({3, ids.data(), 1, nullptr, IntType::kInt64}).message()),
              HasSubstr("ids_stride is 1"));
}

}  // namespace
}  // namespace evenkeel::client
