#include "server/engine/running_clock.h"

#include "gtest/gtest.h"

namespace evenkeel::engine {
namespace {

TEST(RunningClockTest, GoesAsTheSteadyClockDoesAndNoFurtherThanAPause) {
  std::chrono::steady_clock::time_point steady;
  RunningClock clock([&steady] { return steady; });
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  steady += std::chrono::milliseconds(300);
  EXPECT_EQ(clock.Now(), start + absl::Milliseconds(300));
  steady += std::chrono::hours(5);
  EXPECT_EQ(clock.Now(), start + absl::Milliseconds(1300));
  steady += std::chrono::milliseconds(1);
  EXPECT_EQ(clock.Now(), start + absl::Milliseconds(1301));
}

}  // namespace
}  // namespace evenkeel::engine
