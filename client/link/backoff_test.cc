#include "client/link/backoff.h"

#include <algorithm>
#include <chrono>

#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using std::chrono::milliseconds;

constexpr BackoffOptions kOptions{milliseconds(20), milliseconds(2000)};

TEST(BackoffTest, DoublesUpToTheMaximumAndStaysWithinHalfOfIt) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Backoff backoff(kOptions, seed);
    milliseconds ceiling(20);
    for (int attempt = 0; attempt < 20; ++attempt) {
      const std::chrono::nanoseconds wait = backoff.Next();
      EXPECT_GE(wait, ceiling / 2);
      EXPECT_LE(wait, ceiling);
      ceiling = std::min(2 * ceiling, milliseconds(2000));
    }
  }
}

TEST(BackoffTest, TheSameSeedGivesTheSameWaits) {
  Backoff one(kOptions, 7);
  Backoff other(kOptions, 7);
  for (int attempt = 0; attempt < 10; ++attempt) EXPECT_EQ(one.Next(), other.Next());
}

TEST(BackoffTest, SeedsThatDifferSpreadTheWorkers) {
  Backoff one(kOptions, 7);
  Backoff other(kOptions, uint64_t{7} << 32);
  EXPECT_NE(one.Next(), other.Next());
}

}  // namespace
}  // namespace evenkeel::client
