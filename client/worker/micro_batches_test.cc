#include "client/worker/micro_batches.h"

#include <random>
#include <set>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

TEST(MicroBatchesTest, KnowsWhatWasCountedAtEachRow) {
  MicroBatches seen(3);
  EXPECT_FALSE(seen.Contains(1, 0));
  seen.Insert(1, 0);
  seen.Insert(1, 64);
  EXPECT_TRUE(seen.Contains(1, 0));
  EXPECT_TRUE(seen.Contains(1, 64));
  for (const int64_t other : {1, 63, 65, 65'535}) EXPECT_FALSE(seen.Contains(1, other)) << other;
  for (const int row : {0, 2}) EXPECT_FALSE(seen.Contains(row, 0)) << row;
  seen.Clear();
  EXPECT_FALSE(seen.Contains(1, 0));
  EXPECT_FALSE(seen.Contains(1, 64));
}

TEST(MicroBatchesTest, WithoutANumberEveryCallCounts) {
  MicroBatches seen(1);
  seen.Insert(0, MicroBatches::kUnnamed);
  EXPECT_FALSE(seen.Contains(0, MicroBatches::kUnnamed));
}

TEST(MicroBatchesTest, NumbersBeyondTheLastAreNamed) {
  for (const int64_t good : {int64_t{-1}, int64_t{0}, MicroBatches::kMax}) EXPECT_TRUE(MicroBatches::Check(good).ok());
  for (const int64_t bad : {int64_t{-2}, MicroBatches::kMax + 1, INT64_MIN, INT64_MAX}) {
    const absl::Status status = MicroBatches::Check(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("micro_batch is " + std::to_string(bad) + "; 0 to 65535"));
  }
  MicroBatches seen(1);
  seen.Insert(0, MicroBatches::kMax);
  EXPECT_TRUE(seen.Contains(0, MicroBatches::kMax));
}

// Whatever is counted again, and in whatever order: whole recomputation, some layers only, interleaved micro-batches.
TEST(MicroBatchesTest, IsAPlainSet) {
  constexpr int kRows = 5;
  for (int seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const int64_t numbers = seed % 3 == 0 ? MicroBatches::kMax + 1 : 1 + static_cast<int64_t>(random() % 200);
    MicroBatches seen(kRows);
    std::set<std::pair<int, int64_t>> plain;
    std::set<std::pair<int, int64_t>> aside;
    bool is_aside = false;
    for (int call = 0; call < 4000; ++call) {
      const int row = static_cast<int>(random() % kRows);
      const int64_t number = static_cast<int64_t>(random() % numbers);
      ASSERT_EQ(seen.Contains(row, number), plain.count({row, number}) > 0) << row << ", " << number;
      if (random() % 2 == 0) {
        seen.Insert(row, number);
        plain.insert({row, number});
      }
      const int event = static_cast<int>(random() % 500);
      if (event == 0) {
        seen.Clear();
        plain.clear();
        is_aside = false;
      } else if (event == 1 && !is_aside) {
        seen.SetAside();
        aside = std::exchange(plain, {});
        is_aside = true;
      } else if (event == 2 && is_aside) {
        seen.Restore();
        plain = aside;
        is_aside = false;
      }
    }
  }
}

}  // namespace
}  // namespace evenkeel::client
