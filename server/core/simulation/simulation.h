#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/core/simulation/parts.h"
#include "server/core/simulation/recipe.h"
#include "server/core/simulation/scenario.h"

namespace evenkeel::core::simulation {

// What became of one history.
struct Report {
  Recipe recipe;
  // The first breach of the contract, as "who: what is broken: how"; empty while it holds.
  std::string complaint;
  // The faults that struck, in order.
  Fate::Faults faults;
  // What happened, one line each, in order; only where asked for.
  std::vector<std::string> events;
  // How often the history met what it was made for.
  std::map<std::string, int> counts;
};

using MakeParts = std::function<std::unique_ptr<Parts>()>;

// What the seed draws, made simpler as the recipe says; ways that it does not know, or has gone already, are passed
// over.
Scenario ScenarioOf(const Recipe& recipe);

// Runs one history: its scenario, with everything that goes wrong in it, until every contributor has heard of the last
// step or the contract is broken. The same recipe gives the same history, event by event.
Report RunHistory(const Recipe& recipe, const MakeParts& make_parts, bool keep_events = false);

}  // namespace evenkeel::core::simulation
