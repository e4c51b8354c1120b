#include "server/core/simulation/recipe.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace evenkeel::core::simulation {
namespace {

constexpr char kOnly[] = "only";

}  // namespace

std::string ToString(const Recipe& recipe) {
  std::vector<std::string> words = {absl::StrCat(recipe.seed)};
  words.insert(words.end(), recipe.simpler.begin(), recipe.simpler.end());
  if (recipe.only.has_value()) {
    words.push_back(kOnly);
    words.insert(words.end(), recipe.only->begin(), recipe.only->end());
  }
  return absl::StrJoin(words, " ");
}

absl::StatusOr<Recipe> ParseRecipe(absl::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  Recipe recipe;
  if (words.empty() || !absl::SimpleAtoi(words[0], &recipe.seed)) {
    return absl::InvalidArgumentError(absl::StrCat("history \"", text, "\" must begin with a seed"));
  }
  const auto only = std::find(words.begin(), words.end(), kOnly);
  recipe.simpler.assign(words.begin() + 1, only);
  if (only != words.end()) recipe.only.emplace(only + 1, words.end());
  return recipe;
}

}  // namespace evenkeel::core::simulation
