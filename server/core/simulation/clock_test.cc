#include "server/core/simulation/clock.h"

#include "gtest/gtest.h"

namespace evenkeel::core::simulation {
namespace {

class ClockTest : public ::testing::Test {
 protected:
  void Pass(int ms) {
    loop_.After(ms, [] {});
    loop_.RunNext();
  }
  int64_t Now() const { return absl::ToInt64Milliseconds(clock_.now() - absl::UnixEpoch()); }

  EventLoop loop_;
  Clock clock_{&loop_};
};

TEST_F(ClockTest, JumpsAhead) {
  Pass(5);
  EXPECT_EQ(Now(), 5);
  clock_.Jump(100);
  EXPECT_EQ(Now(), 105);
  Pass(5);
  EXPECT_EQ(Now(), 110);
}

TEST_F(ClockTest, StandsStillAndStaysBehind) {
  Pass(10);
  clock_.Stand(20);
  Pass(5);
  EXPECT_EQ(Now(), 10);
  clock_.Stand(5);  // no longer than it does anyway
  Pass(15);
  EXPECT_EQ(Now(), 10);
  Pass(7);
  EXPECT_EQ(Now(), 17);
}

TEST_F(ClockTest, JumpsWhileItStands) {
  clock_.Stand(20);
  clock_.Jump(100);
  Pass(20);
  EXPECT_EQ(Now(), 100);
  Pass(1);
  EXPECT_EQ(Now(), 101);
}

}  // namespace
}  // namespace evenkeel::core::simulation
