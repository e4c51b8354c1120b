#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/core/simulation/parts.h"

namespace evenkeel::core::simulation {

// What became of one history.
struct Report {
  uint64_t seed = 0;
  // The first breach of the contract; empty while it holds.
  std::string complaint;
  // What happened, one line each, in order; only where asked for.
  std::vector<std::string> events;
  // How often the history met what it was made for.
  std::map<std::string, int> counts;
};

using MakeParts = std::function<std::unique_ptr<Parts>()>;

// Runs one history: the scenario that `seed` draws, with everything that goes wrong in it, until every contributor has
// heard of the last step or the contract is broken. The same seed gives the same history, event by event.
Report RunHistory(uint64_t seed, const MakeParts& make_parts, bool keep_events = false);

// Runs the history again and says all there is to say: the complaint, how to reproduce it, and its last events.
std::string Explain(uint64_t seed, const MakeParts& make_parts);

}  // namespace evenkeel::core::simulation
