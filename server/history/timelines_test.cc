#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/history/bias_timeline.h"
#include "server/history/violation_timeline.h"

namespace evenkeel::history {
namespace {

constexpr unsigned kSeed = 3;
constexpr uint64_t kBefore = 40;  // the step before the first

std::vector<float> Draw(int size, std::mt19937* random) {
  std::vector<float> values(size);
  for (float& value : values) value = std::uniform_real_distribution<float>(-1, 1)(*random);
  return values;
}

bool IsPowerOfTwo(uint64_t number) { return number != 0 && (number & (number - 1)) == 0; }

// Every step is in one sample, and every sample says what its steps did.
TEST(ViolationTimelineTest, SamplesAreTheLargestAndTheMeanOfTheirSteps) {
  constexpr int kRows = 3;
  std::mt19937 random(kSeed);
  ViolationTimeline timeline(kRows);
  std::vector<std::vector<float>> max;
  std::vector<std::vector<float>> avg;
  for (int count = 1; count <= 1500; ++count) {
    max.push_back(Draw(kRows, &random));
    avg.push_back(Draw(kRows, &random));
    timeline.Add(kBefore + count, max.back(), avg.back());
    if (count % 97 != 0 && count > 3) continue;
    v1::GetHistoryResponse response;
    timeline.Describe(&response);
    ASSERT_TRUE(IsPowerOfTwo(response.stride()));
    ASSERT_LE(response.steps_size(), 257);
    ASSERT_EQ(response.max_violation_size(), response.steps_size() * kRows);
    ASSERT_EQ(response.avg_violation_size(), response.steps_size() * kRows);
    ASSERT_EQ(response.steps(response.steps_size() - 1), kBefore + count);
    uint64_t begin = 0;
    for (int sample = 0; sample < response.steps_size(); ++sample) {
      const uint64_t end = response.steps(sample) - kBefore;
      if (sample + 1 < response.steps_size()) {
        ASSERT_EQ(end - begin, response.stride());
      } else {
        ASSERT_LE(end - begin, response.stride());
      }
      for (int row = 0; row < kRows; ++row) {
        float largest = max[begin][row];
        double sum = 0;
        for (uint64_t i = begin; i < end; ++i) {
          largest = std::max(largest, max[i][row]);
          sum += avg[i][row];
        }
        ASSERT_EQ(response.max_violation(sample * kRows + row), largest) << "seed " << kSeed;
        ASSERT_NEAR(response.avg_violation(sample * kRows + row), sum / static_cast<double>(end - begin), 1e-6)
            << "seed " << kSeed;
      }
      begin = end;
    }
  }
}

TEST(ViolationTimelineTest, ManyRowsHaveFewerSamples) {
  constexpr int kRows = 20'000;
  ViolationTimeline timeline(kRows);
  const std::vector<float> values(kRows, 1);
  for (uint64_t step = 1; step <= 200; ++step) timeline.Add(step, values, values);
  v1::GetHistoryResponse response;
  timeline.Describe(&response);
  EXPECT_LE(response.steps_size(), 53);
  EXPECT_GE(response.steps_size(), 25);
  EXPECT_EQ(response.stride(), 4u);
}

TEST(BiasTimelineTest, SamplesAreTheBiasAfterTheirSteps) {
  constexpr int kExperts = 5;
  std::mt19937 random(kSeed);
  BiasTimeline timeline(kExperts);
  std::vector<std::vector<float>> bias;
  for (int count = 1; count <= 700; ++count) {
    bias.push_back(Draw(kExperts, &random));
    timeline.Add(kBefore + count, bias.back());
    v1::GetHistoryResponse response;
    timeline.Describe(/*offset=*/1, /*count=*/3, bias.back(), &response);
    const int samples = response.bias_steps_size();
    ASSERT_LE(samples, 65);
    ASSERT_GE(samples, std::min(count, 32));
    ASSERT_EQ(response.bias_size(), samples * 3);
    ASSERT_EQ(response.bias_steps(samples - 1), kBefore + count);
    for (int sample = 0; sample < samples; ++sample) {
      ASSERT_TRUE(sample == 0 || response.bias_steps(sample - 1) < response.bias_steps(sample));
      const std::vector<float>& expected = bias[response.bias_steps(sample) - kBefore - 1];
      for (int i = 0; i < 3; ++i) ASSERT_EQ(response.bias(sample * 3 + i), expected[1 + i]) << "seed " << kSeed;
    }
  }
}

}  // namespace
}  // namespace evenkeel::history
