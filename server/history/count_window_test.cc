#include "server/history/count_window.h"

#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::history {
namespace {

// Against a list of all steps.
TEST(CountWindowTest, IsExactlyOfTheStepsThatItSays) {
  constexpr unsigned kSeed = 5;
  constexpr int kExperts = 7;
  std::mt19937_64 random(kSeed);
  CountWindow counts(kExperts);
  EXPECT_EQ(counts.steps(), 0u);
  EXPECT_EQ(counts.Window(), std::vector<uint64_t>(kExperts));
  std::vector<std::vector<uint64_t>> steps;
  std::vector<uint64_t> totals(kExperts);
  for (uint64_t step = 1; step <= 300; ++step) {
    std::vector<uint64_t>& added = steps.emplace_back(kExperts);
    for (uint64_t& count : added) count = random() >> 20;
    counts.BeginStep();
    counts.Add(0, absl::MakeConstSpan(added).first(3));
    counts.Add(3, absl::MakeConstSpan(added).subspan(3));

    if (step <= CountWindow::kSteps) {
      ASSERT_EQ(counts.steps(), step);
    } else {
      ASSERT_LE(counts.steps(), CountWindow::kSteps);
      ASSERT_GE(counts.steps(), CountWindow::kSteps - 7);
    }
    std::vector<uint64_t> window(kExperts);
    for (size_t i = steps.size() - counts.steps(); i < steps.size(); ++i) {
      for (int expert = 0; expert < kExperts; ++expert) window[expert] += steps[i][expert];
    }
    for (int expert = 0; expert < kExperts; ++expert) totals[expert] += added[expert];
    ASSERT_EQ(counts.Window(), window) << "step " << step << ", seed " << kSeed;
    ASSERT_EQ(counts.totals(), totals) << "step " << step << ", seed " << kSeed;
  }
}

}  // namespace
}  // namespace evenkeel::history
