#include "server/core/simulation/recipe.h"

#include "gtest/gtest.h"

namespace evenkeel::core::simulation {
namespace {

TEST(RecipeTest, ItsTextIsReadBack) {
  for (const char* text : {"17", "17 no-lag no-lag", "0 only", "17 only lost:job/0.1>3 4:server-crashes",
                           "18446744073709551615 fewer-steps only 7:write-interrupted"}) {
    const absl::StatusOr<Recipe> recipe = ParseRecipe(text);
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_EQ(ToString(*recipe), text);
  }
}

TEST(RecipeTest, ItTellsNoFaultsFromAll) {
  EXPECT_FALSE(ParseRecipe("17 no-lag")->only.has_value());
  EXPECT_TRUE(ParseRecipe("17 no-lag only")->only->empty());
}

TEST(RecipeTest, ItBeginsWithASeed) {
  for (const char* text : {"", "only", "-1", "x 17"}) {
    EXPECT_EQ(ParseRecipe(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace evenkeel::core::simulation
