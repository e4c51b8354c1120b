#include "server/core/contribution.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/refusal_matcher.h"
#include "job/test_messages.h"
#include "kernels/balance/update.h"

namespace evenkeel::core {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr uint64_t kUint64Max = ~uint64_t{0};

// Layers "a" (4 experts, top 2) and "b" (3 experts, top 1).
job::LayerTable Table() { return job::LayerTable(job::TestSpec(1)); }

const std::vector<int> kBoth = {0, 1};

// 3 tokens at "a", one of their slots short; 2 tokens at "b".
v1::PushRequest Push() {
  v1::PushRequest push;
  push.set_step(7);
  push.set_ok(true);
  push.set_epoch(1);
  push.mutable_routed_with()->set_epoch(1);
  push.mutable_routed_with()->set_step(6);
  push.add_valid_tokens(3);
  push.add_valid_tokens(2);
  push.add_short_slots(1);
  push.add_short_slots(0);
  *push.mutable_routed() = job::PackCounts({3, 1, 0, 1, /**/ 0, 0, 2});
  return push;
}

absl::Status Refusal(v1::PushRequest push, const std::vector<int>& owned = kBoth) {
  return Contribution().Take(Table(), owned, &push);
}

TEST(ContributionTest, AddsItsCountsInTheFlatLayout) {
  const job::LayerTable table = Table();
  v1::PushRequest push = Push();
  Contribution contribution;
  ASSERT_EQ(contribution.Take(table, kBoth, &push), absl::OkStatus());
  EXPECT_THAT(contribution.tokens(), ElementsAre(3, 2));

  job::StepSums sums(table);
  EXPECT_THAT(sums.counts, Each(0));
  contribution.AddTo(table, kBoth, &sums);
  contribution.AddTo(table, kBoth, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(6, 2, 0, 2, 0, 0, 4));
  EXPECT_THAT(sums.tokens, ElementsAre(6, 4));
}

TEST(ContributionTest, OwnersOfSomeLayersSendOnlyThose) {
  const job::LayerTable table = Table();
  v1::PushRequest push;
  push.add_valid_tokens(2);
  *push.mutable_routed() = job::PackCounts({0, 1, 1});
  Contribution contribution;
  ASSERT_EQ(contribution.Take(table, {1}, &push), absl::OkStatus());

  job::StepSums sums(table);
  contribution.AddTo(table, {1}, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(sums.tokens, ElementsAre(0, 2));
}

TEST(ContributionTest, HighWordsCount) {
  const job::LayerTable table = Table();
  const uint64_t large = (uint64_t{5} << 32) + 7;
  v1::PushRequest push;
  push.add_valid_tokens(large);
  *push.mutable_routed() = job::PackCounts({large, 0, 0});
  ASSERT_EQ(push.routed().high_size(), 3);
  Contribution contribution;
  ASSERT_EQ(contribution.Take(table, {1}, &push), absl::OkStatus());

  job::StepSums sums(table);
  contribution.AddTo(table, {1}, &sums);
  EXPECT_EQ(sums.counts[4], large);
}

TEST(ContributionTest, StepWithoutTokens) {
  v1::PushRequest push;
  push.add_valid_tokens(0);
  push.add_valid_tokens(0);
  *push.mutable_routed() = job::PackCounts(std::vector<uint64_t>(7));
  EXPECT_TRUE(Refusal(push).ok());
}

TEST(ContributionTest, AllSlotsMayBeShort) {
  v1::PushRequest push = Push();
  push.set_short_slots(0, 6);
  push.set_short_slots(1, 2);
  *push.mutable_routed() = job::PackCounts(std::vector<uint64_t>(7));
  EXPECT_TRUE(Refusal(push).ok());
}

TEST(ContributionTest, SubtractingTakesBackWhatWasAdded) {
  const job::LayerTable table = Table();
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    job::StepSums sums(table);
    std::vector<Contribution> contributions;
    std::vector<job::StepSums> before;
    for (int i = 0; i < 5; ++i) {
      const uint64_t a = random() >> 20;
      const uint64_t b = random() >> 20;
      v1::PushRequest push;
      push.add_valid_tokens(a);
      push.add_valid_tokens(b);
      *push.mutable_routed() = job::PackCounts({a, 0, a / 3, a - a / 3, 0, b, 0});
      Contribution contribution;
      ASSERT_EQ(contribution.Take(table, kBoth, &push), absl::OkStatus());
      before.push_back(sums);
      contribution.AddTo(table, kBoth, &sums);
      contributions.push_back(std::move(contribution));
    }
    for (int i = 4; i >= 0; --i) {
      contributions[i].SubtractFrom(table, kBoth, &sums);
      EXPECT_EQ(sums.counts, before[i].counts);
      EXPECT_EQ(sums.tokens, before[i].tokens);
    }
  }
}

v1::PushRequest PushOf(std::vector<uint64_t> counts) {
  v1::PushRequest push;
  push.add_valid_tokens((counts[0] + counts[1] + counts[2] + counts[3]) / 2);
  push.add_valid_tokens(counts[4] + counts[5] + counts[6]);
  *push.mutable_routed() = job::PackCounts(counts);
  return push;
}

TEST(ContributionTest, TheNextStepTakesThePlaceOfTheOneBefore) {
  const job::LayerTable table = Table();
  Contribution contribution;
  v1::PushRequest first = PushOf({(uint64_t{5} << 32) + 7, 1, 2, 4, 0, 1, 1});
  ASSERT_EQ(contribution.Take(table, kBoth, &first), absl::OkStatus());
  v1::PushRequest second = PushOf({1, 1, 2, 0, 3, 0, 1});
  ASSERT_EQ(contribution.Take(table, kBoth, &second), absl::OkStatus());
  job::StepSums sums(table);
  contribution.AddTo(table, kBoth, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(1, 1, 2, 0, 3, 0, 1));

  contribution.Clear();
  contribution.AddTo(table, kBoth, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(1, 1, 2, 0, 3, 0, 1));
  EXPECT_THAT(contribution.tokens(), ElementsAre());
}

TEST(ContributionTest, ARefusedStepLeavesTheOneBefore) {
  const job::LayerTable table = Table();
  Contribution contribution;
  v1::PushRequest push = PushOf({1, 1, 2, 0, 3, 0, 1});
  ASSERT_EQ(contribution.Take(table, kBoth, &push), absl::OkStatus());
  v1::PushRequest wrong = PushOf({2, 2, 0, 0, 1, 1, 0});
  wrong.set_valid_tokens(1, 9);
  EXPECT_FALSE(contribution.Take(table, kBoth, &wrong).ok());
  job::StepSums sums(table);
  contribution.AddTo(table, kBoth, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(1, 1, 2, 0, 3, 0, 1));
}

TEST(ContributionTest, MemoryOfALargeMessageStaysTheMessages) {
  v1::PushRequest push = PushOf({1, 1, 2, 0, 3, 0, 1});
  push.mutable_routed()->mutable_low()->Reserve(1 << 20);
  Contribution contribution;
  ASSERT_EQ(contribution.Take(Table(), kBoth, &push), absl::OkStatus());
  // What it held goes into the next message that is taken.
  v1::PushRequest next = PushOf({1, 1, 2, 0, 3, 0, 1});
  ASSERT_EQ(contribution.Take(Table(), kBoth, &next), absl::OkStatus());
  EXPECT_LE(next.routed().low().Capacity(), 14);
}

struct BadShape {
  std::function<void(v1::PushRequest*)> spoil;
  const char* message;
};

TEST(ContributionTest, RefusesArraysOfTheWrongLength) {
  const BadShape cases[] = {
      {[](v1::PushRequest* p) { p->add_valid_tokens(0); }, "valid_tokens has 3 entries"},
      {[](v1::PushRequest* p) { p->clear_valid_tokens(); }, "valid_tokens has 0 entries"},
      {[](v1::PushRequest* p) { p->mutable_short_slots()->RemoveLast(); }, "short_slots has 1 entries"},
      {[](v1::PushRequest* p) { p->mutable_routed()->add_low(0); }, "routed.low has 8 entries"},
      {[](v1::PushRequest* p) { p->mutable_routed()->mutable_low()->RemoveLast(); }, "routed.low has 6 entries"},
      {[](v1::PushRequest* p) { p->clear_routed(); }, "routed.low has 0 entries"},
      {[](v1::PushRequest* p) { p->mutable_routed()->add_high(0); }, "routed.high has 1 entries"},
  };
  for (const BadShape& bad : cases) {
    SCOPED_TRACE(bad.message);
    v1::PushRequest push = Push();
    bad.spoil(&push);
    EXPECT_THAT(Refusal(push),
                job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH, bad.message));
  }
}

TEST(ContributionTest, RefusesTheLayersOfOthers) {
  EXPECT_THAT(Refusal(Push(), {0}), job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH,
                                                   "valid_tokens has 2 entries"));
}

void ExpectInconsistent(const v1::PushRequest& push, const std::string& message) {
  EXPECT_THAT(Refusal(push),
              job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::COUNTS_INCONSISTENT, message));
}

TEST(ContributionTest, RefusesCountsThatDoNotAddUp) {
  v1::PushRequest push = Push();
  push.mutable_routed()->set_low(2, 1);
  ExpectInconsistent(push,
                     "layer \"a\": counts add up to 6, but top_k 2 * valid_tokens 3 - short_slots 1 was expected");
  push = Push();
  push.mutable_routed()->set_low(6, 1);
  ExpectInconsistent(push, "layer \"b\": counts add up to 1, but");
  push = Push();
  push.set_short_slots(1, 3);
  ExpectInconsistent(push, "layer \"b\": counts add up to 2, but top_k 1 * valid_tokens 2 - short_slots 3");
}

TEST(ContributionTest, AnExcessOfOneLayerDoesNotMakeUpForAnother) {
  v1::PushRequest push = Push();
  push.mutable_routed()->set_low(0, 2);
  push.mutable_routed()->set_low(6, 3);
  ExpectInconsistent(push, "layer \"a\"");
}

// Modulo 2^64 these would pass.
TEST(ContributionTest, SumsDoNotWrapAround) {
  v1::PushRequest push = Push();
  *push.mutable_routed() = job::PackCounts({kUint64Max, 6, 0, 0, /**/ 0, 0, 2});
  ExpectInconsistent(push, "layer \"a\": counts add up to 18446744073709551621, but");

  push = Push();
  push.set_valid_tokens(0, (uint64_t{1} << 63) + 3);
  ExpectInconsistent(push, "valid_tokens is 9223372036854775811");

  push = Push();
  push.set_short_slots(1, kUint64Max - 1);
  *push.mutable_routed() = job::PackCounts({3, 1, 0, 1, /**/ 4, 0, 0});
  ExpectInconsistent(push, "short_slots 18446744073709551614");
}

TEST(ContributionTest, SlotsAreBounded) {
  const uint64_t limit = balance::kMaxCountSum;
  v1::PushRequest push;
  push.add_valid_tokens(limit / 2);
  push.add_valid_tokens(limit);
  *push.mutable_routed() = job::PackCounts({limit / 2, limit / 2, 0, 0, limit, 0, 0});
  EXPECT_TRUE(Refusal(push).ok());

  push.set_valid_tokens(1, limit + 1);
  *push.mutable_routed() = job::PackCounts({limit / 2, limit / 2, 0, 0, limit, 1, 0});
  ExpectInconsistent(push, "layer \"b\": valid_tokens is 281474976710657");
}

// ---------------------------------------------------------------------------------------------------------------------
// Streams, and what a capacity limit left

// Rows of 4, 4, 3 and 5 experts; all but the third tell what was dispatched.
job::LayerTable Rows() { return job::LayerTable(job::TestSpecWithStreams(1)); }

const std::vector<int> kAllRows = {0, 1, 2, 3};

v1::PushRequest PushOfRows() {
  v1::PushRequest push;
  for (const uint64_t tokens : {3, 1, 2, 3}) push.add_valid_tokens(tokens);
  *push.mutable_routed() = job::PackCounts({3, 1, 1, 1, /**/ 1, 1, 0, 0, /**/ 2, 0, 0, /**/ 2, 1, 1, 1, 1});
  *push.mutable_dispatched() = job::PackCounts({2, 1, 1, 1, /**/ 1, 0, 0, 0, /**/ 1, 1, 1, 1, 1});
  return push;
}

absl::Status RefusalOfRows(v1::PushRequest push) { return Contribution().Take(Rows(), kAllRows, &push); }

TEST(ContributionTest, EachStreamHasItsPlace) {
  const job::LayerTable table = Rows();
  v1::PushRequest push = PushOfRows();
  Contribution contribution;
  ASSERT_EQ(contribution.Take(table, kAllRows, &push), absl::OkStatus());
  EXPECT_THAT(contribution.tokens(), ElementsAre(3, 1, 2, 3));
  job::StepSums sums(table);
  contribution.AddTo(table, kAllRows, &sums);
  EXPECT_THAT(sums.counts, ElementsAre(3, 1, 1, 1, 1, 1, 0, 0, 2, 0, 0, 2, 1, 1, 1, 1));
  EXPECT_THAT(sums.dispatched, ElementsAre(2, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1));
  contribution.SubtractFrom(table, kAllRows, &sums);
  EXPECT_THAT(sums.counts, Each(0));
  EXPECT_THAT(sums.dispatched, Each(0));
  EXPECT_THAT(sums.tokens, Each(0));
}

TEST(ContributionTest, OwnersOfSomeLayersDispatchOnlyThose) {
  const job::LayerTable table = Rows();
  v1::PushRequest push;
  push.add_valid_tokens(2);
  push.add_valid_tokens(1);
  *push.mutable_routed() = job::PackCounts({0, 1, 1, /**/ 1, 0, 0, 0, 1});
  *push.mutable_dispatched() = job::PackCounts({1, 0, 0, 0, 0});
  const std::vector<int> owned = {2, 3};
  Contribution contribution;
  ASSERT_EQ(contribution.Take(table, owned, &push), absl::OkStatus());
  job::StepSums sums(table);
  contribution.AddTo(table, owned, &sums);
  EXPECT_THAT(sums.dispatched, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0));
}

TEST(ContributionTest, DispatchedCountsHaveTheRowsThatTellThem) {
  const auto wrong_length = [](const char* message) {
    return job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH, message);
  };
  v1::PushRequest push = PushOfRows();
  push.clear_dispatched();
  EXPECT_THAT(RefusalOfRows(push),
              wrong_length("dispatched.low has 0 entries; the layers that this contributor owns ask for 13"));
  push = PushOfRows();
  push.mutable_dispatched()->add_low(0);
  EXPECT_THAT(RefusalOfRows(push), wrong_length("dispatched.low has 14 entries"));
  push = PushOfRows();
  push.mutable_dispatched()->add_high(0);
  EXPECT_THAT(RefusalOfRows(push), wrong_length("dispatched.high has 1 entries"));
  push = Push();
  push.mutable_dispatched()->add_low(0);
  EXPECT_THAT(Refusal(push),
              wrong_length("dispatched.low has 1 entries; the layers that this contributor owns ask for 0"));
  push = v1::PushRequest();
  push.set_counts_lost(true);
  push.mutable_dispatched()->add_low(0);
  EXPECT_THAT(RefusalOfRows(push), wrong_length("dispatched.low has 1 entries; with counts_lost"));
}

TEST(ContributionTest, NoMoreIsDispatchedThanWasRouted) {
  const auto inconsistent = [](const char* message) {
    return job::IsRefusal(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::DISPATCHED_INCONSISTENT, message);
  };
  v1::PushRequest push = PushOfRows();
  push.mutable_dispatched()->set_low(6, 1);
  EXPECT_THAT(RefusalOfRows(push),
              inconsistent("layer \"a\" stream 1, expert 2: dispatched is 1, more than the 0 that"));
  push = PushOfRows();
  push.mutable_dispatched()->set_low(8, 3);
  EXPECT_THAT(RefusalOfRows(push), inconsistent("layer \"c\", expert 0: dispatched is 3, more than the 2 that"));
  push = PushOfRows();
  push.mutable_dispatched()->mutable_high()->Resize(13, 0);
  push.mutable_dispatched()->set_high(12, 1);
  EXPECT_THAT(RefusalOfRows(push), inconsistent("layer \"c\", expert 4: dispatched is 4294967297"));
  push = PushOfRows();
  *push.mutable_dispatched() = job::PackCounts({3, 1, 1, 1, /**/ 1, 1, 0, 0, /**/ 2, 1, 1, 1, 1});
  EXPECT_TRUE(RefusalOfRows(push).ok());
}

TEST(PayloadHashTest, LeavesOutWhatARestartChanges) {
  v1::PushRequest again = Push();
  again.set_epoch(2);
  EXPECT_EQ(PayloadHash(again), PayloadHash(Push()));
}

TEST(PayloadHashTest, SeesEveryFieldOfThePayload) {
  const std::function<void(v1::PushRequest*)> changes[] = {
      [](v1::PushRequest* p) { p->set_step(8); },
      [](v1::PushRequest* p) { p->set_ok(false); },
      [](v1::PushRequest* p) { p->mutable_routed_with()->set_epoch(2); },
      [](v1::PushRequest* p) { p->mutable_routed_with()->set_step(5); },
      [](v1::PushRequest* p) { p->set_valid_tokens(1, 9); },
      [](v1::PushRequest* p) { p->set_short_slots(0, 9); },
      [](v1::PushRequest* p) { p->clear_short_slots(); },
      [](v1::PushRequest* p) { p->mutable_routed()->set_low(6, 9); },
      [](v1::PushRequest* p) { p->mutable_routed()->mutable_high()->Resize(7, 0); },
      [](v1::PushRequest* p) { p->mutable_dispatched()->add_low(1); },
      [](v1::PushRequest* p) { p->set_provisional(true); },
      [](v1::PushRequest* p) { p->set_counts_lost(true); },
  };
  std::vector<uint64_t> hashes = {PayloadHash(Push())};
  for (const auto& change : changes) {
    v1::PushRequest push = Push();
    change(&push);
    const uint64_t hash = PayloadHash(push);
    EXPECT_THAT(hashes, Each(testing::Ne(hash))) << push.DebugString();
    hashes.push_back(hash);
  }
}

TEST(PayloadHashTest, ArraysDoNotRunIntoEachOther) {
  v1::PushRequest one;
  one.add_valid_tokens(1);
  one.add_short_slots(2);
  v1::PushRequest other;
  other.add_valid_tokens(1);
  other.add_valid_tokens(2);
  EXPECT_NE(PayloadHash(one), PayloadHash(other));
}

}  // namespace
}  // namespace evenkeel::core
