#include "client/source/push_log.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <random>

#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

class PushLogTest : public ::testing::Test {
 protected:
  PushLog::Step StepOf(uint64_t step) {
    PushLog::Step result;
    result.step = step;
    result.routed_with.set_step(step - 1);
    result.counts = pool_.Take();
    result.counts->step = step;
    return result;
  }

  StepCountsPool pool_{[] { return std::make_unique<StepCounts>(StepShape{3, 1}); }};
};

TEST_F(PushLogTest, GivesBackInOrderWhatWasAppended) {
  PushLog log(100);
  for (uint64_t step = 1; step <= 50; ++step) EXPECT_FALSE(log.Append(StepOf(step)));
  EXPECT_EQ(log.size(), 50);
  EXPECT_EQ(log.back().step, 50);
  for (uint64_t step = 1; step <= 50; ++step) {
    EXPECT_EQ(log.front().step, step);
    EXPECT_EQ(log.front().routed_with.step(), step - 1);
    ASSERT_NE(log.front().counts, nullptr);
    EXPECT_EQ(log.front().counts->step, step);
    log.PopFront();
  }
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(log.lost(), 0);
}

TEST_F(PushLogTest, TheOldestLoseTheirCountsButForTheOneUnderWay) {
  PushLog log(3);
  for (uint64_t step = 1; step <= 6; ++step) EXPECT_EQ(log.Append(StepOf(step)), step > 3);
  EXPECT_EQ(log.lost(), 3);
  for (uint64_t step = 1; step <= 6; ++step) {
    EXPECT_EQ(log.front().step, step);
    EXPECT_EQ(log.front().counts != nullptr, step == 1 || step >= 5) << step;
    log.PopFront();
  }
}

TEST_F(PushLogTest, WhetherAStepWasTakenAndReplayedIsNotLost) {
  PushLog log(2);
  for (uint64_t step = 1; step <= 5; ++step) {
    PushLog::Step next = StepOf(step);
    next.counts->set_skips(step == 3 ? 2 : 0);
    next.counts->set_replays(step == 2 ? 1 : 0);
    log.Append(std::move(next));
  }
  for (uint64_t step = 1; step <= 5; ++step) {
    if (log.front().counts == nullptr) {
      EXPECT_EQ(log.front().ok, step != 3);
      EXPECT_EQ(log.front().replayed, step == 2);
    }
    log.PopFront();
  }
  EXPECT_EQ(log.lost(), 3);
}

TEST_F(PushLogTest, ASlotThatWasUnderWayMakesRoom) {
  PushLog log(2);
  log.Append(StepOf(1));
  log.Append(StepOf(2));
  log.PopFront();
  EXPECT_FALSE(log.Append(StepOf(3)));
  EXPECT_TRUE(log.Append(StepOf(4)));
  EXPECT_NE(log.front().counts, nullptr) << "step 2 is under way now";
  log.PopFront();
  EXPECT_EQ(log.front().counts, nullptr) << "step 3";
}

// Against the obvious log.
TEST_F(PushLogTest, RandomHistories) {
  const unsigned seed = std::random_device()();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (int history = 0; history < 200; ++history) {
    const size_t capacity = 2 + random() % 6;
    PushLog log(capacity);
    std::deque<std::pair<uint64_t, bool>> model;  // step, and whether its counts are there
    uint64_t lost = 0;
    for (uint64_t step = 1; step <= 60; ++step) {
      const size_t kept = std::count_if(model.begin(), model.end(), [](const auto& entry) { return entry.second; });
      if (kept == capacity) {
        const auto oldest =
            std::find_if(model.begin() + 1, model.end(), [](const auto& entry) { return entry.second; });
        oldest->second = false;
        ++lost;
      }
      model.emplace_back(step, true);
      log.Append(StepOf(step));
      for (int pops = random() % 3; pops > 0 && !model.empty(); --pops) {
        ASSERT_EQ(log.front().step, model.front().first);
        ASSERT_EQ(log.front().counts != nullptr, model.front().second);
        log.PopFront();
        model.pop_front();
      }
      ASSERT_EQ(log.size(), model.size());
      ASSERT_EQ(log.lost(), lost);
      if (!model.empty()) {
        ASSERT_NE(log.back().counts, nullptr);
      }
    }
  }
}

}  // namespace
}  // namespace evenkeel::client
