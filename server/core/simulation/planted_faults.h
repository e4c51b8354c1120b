#pragma once

#include <vector>

#include "server/core/simulation/simulation.h"

namespace evenkeel::core::simulation {

// A way in which a coordinator could be wrong, and what the simulator says when it finds it.
struct PlantedFault {
  const char* name;
  MakeParts make;
  // Part of the complaint.
  const char* complaint;
};

// One for each promise of the contract. They wrap the coordinator; its own code stays as it is.
std::vector<PlantedFault> PlantedFaults();

}  // namespace evenkeel::core::simulation
