#include "server/core/simulation/simplify.h"

#include <memory>

#include "gtest/gtest.h"
#include "server/core/simulation/simulation.h"

namespace evenkeel::core::simulation {
namespace {

constexpr uint64_t kScenarios = 60;

std::unique_ptr<Parts> Honest() { return std::make_unique<Parts>(); }

// Whatever is left out, what is left is a scenario that a coordinator has to stand.
TEST(SimplifyTest, SimplerScenariosAreScenarios) {
  for (uint64_t seed = 1; seed <= kScenarios; ++seed) {
    Recipe recipe = {seed};
    for (const std::string& name : Simplifications()) {
      Scenario scenario = ScenarioOf(recipe);
      if (!Simplify(name, &scenario)) continue;
      recipe.simpler.push_back(name);
      EXPECT_EQ(RunHistory(recipe, Honest).complaint, "") << ToString(recipe);
    }
  }
}

TEST(SimplifyTest, EveryWayComesToAnEnd) {
  for (uint64_t seed = 1; seed <= kScenarios; ++seed) {
    Scenario scenario = ScenarioOf({seed});
    int times = 0;
    for (const std::string& name : Simplifications()) {
      while (Simplify(name, &scenario)) ASSERT_LT(++times, 100) << name;
    }
    ASSERT_EQ(scenario.jobs.size(), 1);
    const JobScenario& job = scenario.jobs[0];
    EXPECT_EQ(job.steps, 1);
    EXPECT_EQ(job.spec.contributors(), 1);
    EXPECT_EQ(job.spec.layers_size(), 1);
    EXPECT_LE(job.spec.layers(0).num_experts(), 2);
    EXPECT_FALSE(job.has_groups());
    EXPECT_FALSE(job.has_stages());
  }
}

TEST(SimplifyTest, AnUnknownWayChangesNothing) {
  Scenario scenario = ScenarioOf({1});
  EXPECT_FALSE(Simplify("no-such-way", &scenario));
}

}  // namespace
}  // namespace evenkeel::core::simulation
