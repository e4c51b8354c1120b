#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/core/simulation/fate.h"

namespace evenkeel::core::simulation {

// All that a history follows from. As text, one line of words, by which it is run again:
//
//   17 first-job-alone fewer-steps only lost:job/0.1>3 4:server-crashes
//
// is what seed 17 draws, of its first job alone and with one step less, and nothing goes wrong but that message 3 of
// process 1 of contributor 0 is lost, and that incident 4 happens: the coordinator crashes.
struct Recipe {
  uint64_t seed = 1;
  // Names of simplifications (simplify.h) in the order in which they are applied.
  std::vector<std::string> simpler = {};
  // The faults that may strike; absent: all that are drawn.
  std::optional<Fate::Faults> only = {};
};

std::string ToString(const Recipe& recipe);
// INVALID_ARGUMENT where `text` does not begin with a seed.
absl::StatusOr<Recipe> ParseRecipe(absl::string_view text);

}  // namespace evenkeel::core::simulation
