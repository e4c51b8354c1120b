#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/core/simulation/scenario.h"

namespace evenkeel::core::simulation {

// Ways to make a scenario simpler, by name, those that leave out most first: "first-job-alone", "half-steps",
// "no-groups".
std::vector<std::string> Simplifications();

// False when the scenario is as simple in that way already, or there is no such way: it stays as it is.
bool Simplify(absl::string_view name, Scenario* scenario);

}  // namespace evenkeel::core::simulation
