// The simulator finds what it is there to find, and shows it small.

#include "server/core/simulation/planted_faults.h"

#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/core/simulation/explain.h"
#include "server/core/simulation/shrink.h"

namespace evenkeel::core::simulation {

void PrintTo(const PlantedFault& fault, std::ostream* out) { *out << fault.name; }

namespace {

using ::testing::HasSubstr;

constexpr uint64_t kHistories = 300;
// What shrunken histories may have at most: faults that strike, and lines of the journal.
constexpr size_t kFewFaults = 6;
constexpr size_t kFewEvents = 140;

class PlantedFaultTest : public ::testing::TestWithParam<PlantedFault> {
 protected:
  // The first history, from `seed` on, that finds the fault, with its complaint.
  static Report Find(uint64_t seed = 1) {
    for (; seed <= kHistories; ++seed) {
      Report report = RunHistory({seed}, GetParam().make);
      if (absl::StrContains(report.complaint, GetParam().complaint)) return report;
    }
    return Report();
  }

  // The smallest of the first three, shrunken.
  static Report FindSmall() {
    Report smallest = Shrink(Find(), GetParam().make);
    uint64_t seed = smallest.recipe.seed;
    for (int i = 1; i < 3; ++i) {
      const Report next = Find(seed + 1);
      if (next.complaint.empty()) break;
      seed = next.recipe.seed;
      Report small = Shrink(next, GetParam().make);
      if (small.faults.size() < smallest.faults.size()) smallest = std::move(small);
    }
    return smallest;
  }
};

TEST_P(PlantedFaultTest, IsFound) {
  const Report found = Find();
  ASSERT_NE(found.complaint, "") << "not in " << kHistories << " histories";
  EXPECT_EQ(RunHistory(found.recipe, GetParam().make).complaint, found.complaint) << "the same recipe, another history";
}

TEST_P(PlantedFaultTest, IsShownSmall) {
  const Report small = FindSmall();
  EXPECT_THAT(small.complaint, HasSubstr(GetParam().complaint));
  EXPECT_LE(small.faults.size(), kFewFaults) << ToString(small.recipe);
  EXPECT_EQ(small.recipe.only, small.faults);

  const absl::StatusOr<Recipe> recipe = ParseRecipe(ToString(small.recipe));
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  const Report alone = RunHistory(*recipe, GetParam().make, /*keep_events=*/true);
  EXPECT_EQ(alone.complaint, small.complaint) << "the text gives the same history";
  EXPECT_LE(alone.events.size(), kFewEvents) << absl::StrJoin(alone.events, "\n");
  const Report honest = RunHistory(*recipe, [] { return std::make_unique<Parts>(); });
  EXPECT_EQ(honest.complaint, "") << "without the planted fault";
}

TEST_P(PlantedFaultTest, IsExplained) {
  const Report found = Find();
  const std::string explanation = Explain(found, GetParam().make);
  const Report small = Shrink(found, GetParam().make);
  EXPECT_THAT(explanation, HasSubstr(found.complaint));
  EXPECT_THAT(explanation, HasSubstr("EVENKEEL_HISTORY='" + ToString(small.recipe) + "'")) << "the same twice";
  EXPECT_THAT(explanation, HasSubstr("BREACH: " + small.complaint));
}

INSTANTIATE_TEST_SUITE_P(All, PlantedFaultTest, ::testing::ValuesIn(PlantedFaults()),
                         [](const auto& fault) { return fault.param.name; });

}  // namespace
}  // namespace evenkeel::core::simulation
