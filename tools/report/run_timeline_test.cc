#include "tools/report/run_timeline.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;

// Two rows, three experts; values that tell the step.
RunTimeline::Step StepAt(uint64_t step) {
  const auto value = static_cast<float>(step);
  return {step, {value, -value}, {2 * value, 8}, {value, value + .25f, value + .5f}};
}

TEST(RunTimelineTest, AShortRunIsKeptWhole) {
  RunTimeline timeline;
  for (uint64_t step = 5; step <= 7; ++step) timeline.Add(StepAt(step));
  v1::GetHistoryResponse history;
  timeline.Describe(&history);
  timeline.DescribeBias(1, 2, &history);
  EXPECT_EQ(history.stride(), 1);
  EXPECT_THAT(history.steps(), ElementsAre(5, 6, 7));
  EXPECT_THAT(history.max_violation(), ElementsAre(5, -5, 6, -6, 7, -7));
  EXPECT_THAT(history.avg_violation(), ElementsAre(10, 8, 12, 8, 14, 8));
  EXPECT_THAT(history.bias_steps(), ElementsAre(5, 6, 7));
  EXPECT_THAT(history.bias(), ElementsAre(5.25f, 5.5f, 6.25f, 6.5f, 7.25f, 7.5f));
}

TEST(RunTimelineTest, ALongOneEverMoreCoarsely) {
  RunTimeline timeline;
  constexpr uint64_t kSteps = 1000;
  for (uint64_t step = 1; step <= kSteps; ++step) timeline.Add(StepAt(step));
  v1::GetHistoryResponse history;
  timeline.Describe(&history);
  timeline.DescribeBias(0, 1, &history);
  EXPECT_EQ(history.stride(), 4);
  ASSERT_EQ(history.steps_size(), 250);
  for (int i = 0; i < 250; ++i) {
    const uint64_t last = 4 * (static_cast<uint64_t>(i) + 1);
    EXPECT_EQ(history.steps(i), last);
    EXPECT_EQ(history.max_violation(2 * i), static_cast<float>(last));
    EXPECT_EQ(history.max_violation(2 * i + 1), -static_cast<float>(last - 3));
    EXPECT_EQ(history.avg_violation(2 * i), 2 * (static_cast<float>(last) - 1.5f));
    EXPECT_EQ(history.bias(i), static_cast<float>(last));
  }
}

TEST(RunTimelineTest, AWideOneHasFewerSamples) {
  RunTimeline timeline;
  RunTimeline::Step step;
  step.bias.resize(size_t{1} << 19);
  for (step.step = 1; step.step <= 40; ++step.step) timeline.Add(step);
  v1::GetHistoryResponse history;
  timeline.Describe(&history);
  EXPECT_EQ(history.stride(), 2);
  ASSERT_EQ(history.steps_size(), 20);
  EXPECT_EQ(history.steps(0), 2);
  EXPECT_EQ(history.steps(19), 40);
}

TEST(RunTimelineTest, WhatTheRunWentBackOverIsForgotten) {
  RunTimeline timeline;
  for (uint64_t step = 1; step <= 10; ++step) timeline.Add(StepAt(step));
  for (uint64_t step = 4; step <= 5; ++step) timeline.Add(StepAt(step));
  v1::GetHistoryResponse history;
  timeline.Describe(&history);
  EXPECT_THAT(history.steps(), ElementsAre(1, 2, 3, 4, 5));
}

}  // namespace
}  // namespace evenkeel::tools
