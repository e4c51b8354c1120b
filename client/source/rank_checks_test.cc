#include "client/source/rank_checks.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr StepShape kShape = {/*experts=*/5, /*rows=*/2, /*dispatched=*/3, /*ranks=*/3};

// The sum over ranks that count `tokens` tokens each and hold these biases.
void AddUp(const std::vector<uint64_t>& tokens, const std::vector<std::vector<float>>& biases, StepCounts* sums) {
  for (size_t rank = 0; rank < tokens.size(); ++rank) {
    StepCounts own(kShape);
    own.mutable_counts()[2] = own.mutable_totals()[1].tokens = tokens[rank];
    WriteCheck(rank, biases[rank], &own);
    for (size_t i = 0; i < kShape.Sums(); ++i) sums->sums()[i] += own.sums()[i];
  }
}

TEST(RankChecksTest, TheSumHasEveryRanksOwn) {
  const std::vector<float> bias = {0.5f, -0.25f};
  StepCounts sums(kShape);
  AddUp({7, 0, 9}, {bias, bias, bias}, &sums);
  EXPECT_NE(sums.checks()[0].counts, 0);
  EXPECT_EQ(sums.checks()[1].counts, 0) << "it counted nothing";
  EXPECT_NE(sums.checks()[2].counts, sums.checks()[0].counts);
  for (const StepCounts::RankCheck& check : sums.checks()) EXPECT_EQ(check.bias, BiasChecksum(bias));
}

TEST(RankChecksTest, EverythingThatARankCountsIsInItsFingerprint) {
  for (size_t i = 0; i < kShape.SkipsAt(); ++i) {
    StepCounts own(kShape);
    own.sums()[i] = 1;
    WriteCheck(/*place=*/1, {}, &own);
    EXPECT_NE(own.checks()[1].counts, 0) << "number " << i;
  }
  StepCounts skipped(kShape);
  skipped.set_skips(1);
  skipped.set_replays(1);
  WriteCheck(/*place=*/1, {}, &skipped);
  EXPECT_EQ(skipped.checks()[1].counts, 0) << "a skip is no count";
}

TEST(RankChecksTest, ABiasOfZeroIsOneThatWasLookedAt) {
  EXPECT_NE(BiasChecksum(std::vector<float>(4)), 0);
  EXPECT_EQ(BiasChecksum(std::vector<float>(4)), BiasChecksum({}));
}

TEST(RankChecksTest, NamesTheRanksWhoseBiasIsAnother) {
  const std::vector<float> bias = {0.5f, -0.25f};
  const std::vector<float> wiped = {0.0f, 0.0f};
  StepCounts sums(kShape);
  sums.step = 12;
  AddUp({7, 8, 9}, {bias, wiped, {0.5f, 0.25f}}, &sums);
  EXPECT_THAT(DivergedPlaces(sums, BiasChecksum(bias)), ElementsAre(1, 2));
  const absl::Status status = CheckBias(sums, BiasChecksum(bias), {4, 6, 8});
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("step 12: the bias of rank 6, 8 is not the one"));
}

TEST(RankChecksTest, RanksThatDoNotLookAreNotNamed) {
  StepCounts sums(kShape);
  EXPECT_THAT(DivergedPlaces(sums, BiasChecksum({})), IsEmpty());
  EXPECT_TRUE(CheckBias(sums, BiasChecksum({}), {0, 1, 2}).ok());
}

}  // namespace
}  // namespace evenkeel::client
