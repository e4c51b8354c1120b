#pragma once

#include <string>

#include "server/core/simulation/simulation.h"

namespace evenkeel::core::simulation {

// All there is to say of a broken history: the complaint, and the smallest history that is broken in the same way: how
// to run it alone, its complaint, its jobs and its events.
std::string Explain(const Report& failed, const MakeParts& make_parts);

}  // namespace evenkeel::core::simulation
