#include "server/security/token_bucket.h"

#include <random>

#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TokenBucket::Time kStart{std::chrono::hours(1)};

TEST(TokenBucketTest, ABurstAndThenTheRate) {
  TokenBucket bucket(10, seconds(2));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(bucket.Take(1, kStart), 0) << i;
  EXPECT_EQ(bucket.Take(1, kStart), 100);
  EXPECT_EQ(bucket.Take(1, kStart + milliseconds(99)), 1);
  EXPECT_EQ(bucket.Take(1, kStart + milliseconds(100)), 0);
  EXPECT_EQ(bucket.Take(5, kStart + milliseconds(100)), 500);
}

TEST(TokenBucketTest, ThePromisedTimeIsEnoughAndNotAMillisecondTooLong) {
  for (const int64_t rate : {1, 3, 7, 1'013, 3'000'003}) {
    TokenBucket bucket(rate, seconds(1));
    EXPECT_EQ(bucket.Take(rate, kStart), 0);
    const int64_t wait = bucket.Take(1, kStart);
    EXPECT_EQ(wait, (1'000 + rate - 1) / rate) << rate;
    EXPECT_EQ(bucket.Take(1, kStart + milliseconds(wait)), 0) << rate;
  }
}

TEST(TokenBucketTest, WhatIsRefusedIsNotTaken) {
  TokenBucket bucket(10, seconds(1));
  EXPECT_EQ(bucket.Take(8, kStart), 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(bucket.Take(3, kStart), 100);
  EXPECT_EQ(bucket.Take(2, kStart), 0);
}

TEST(TokenBucketTest, ALongSilenceFillsItNoMoreThanFull) {
  TokenBucket bucket(10, seconds(1));
  EXPECT_EQ(bucket.Take(10, kStart), 0);
  const TokenBucket::Time later = kStart + std::chrono::hours(1'000'000);
  EXPECT_EQ(bucket.Take(11, later), -1);
  EXPECT_EQ(bucket.Take(10, later), 0);
  EXPECT_GT(bucket.Take(1, later), 0);
}

TEST(TokenBucketTest, WhatNeverFitsIsSaid) { EXPECT_EQ(TokenBucket(10, seconds(5)).Take(51, kStart), -1); }

TEST(TokenBucketTest, NoLossAtTheLargestRates) {
  TokenBucket bucket(int64_t{1} << 60, seconds(5));
  EXPECT_EQ(bucket.Take(int64_t{5} << 60, kStart), 0);
  EXPECT_EQ(bucket.Take(int64_t{1} << 60, kStart), 1'000);
  EXPECT_EQ(bucket.Take(int64_t{1} << 60, kStart + seconds(1)), 0);
}

TEST(TokenBucketTest, WhoComesWhenToldIsServedAndOverAllTheRateHolds) {
  std::mt19937 random(20261121);
  TokenBucket bucket(1'000, seconds(1));
  TokenBucket::Time now = kStart;
  int64_t taken = 0;
  for (int i = 0; i < 10'000; ++i) {
    now += milliseconds(random() % 3);
    const int64_t amount = 1 + random() % 40;
    const int64_t wait = bucket.Take(amount, now);
    if (wait > 0) {
      EXPECT_NE(bucket.Take(amount, now + milliseconds(wait - 1)), 0);
      now += milliseconds(wait);
      ASSERT_EQ(bucket.Take(amount, now), 0);
    }
    taken += amount;
    const int64_t passed = std::chrono::duration_cast<milliseconds>(now - kStart).count();
    ASSERT_LE(taken, 1'000 + passed);
  }
}

}  // namespace
}  // namespace evenkeel::security
