#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "evenkeel/v1/job.pb.h"
#include "server/core/simulation/network.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core::simulation {

// One job, and what its contributors do.
struct JobScenario {
  v1::JobSpec spec;
  // The rows of each contributor, ascending.
  std::vector<std::vector<int>> owned;
  uint64_t steps = 0;
  // As in job::ReferenceModel::Options.
  uint64_t seed = 0;
  uint64_t one_skip_in = 0;
  uint64_t one_replay_in = 0;
  uint64_t scale = 1;
  std::map<int, int> twin_of;
  std::set<std::pair<uint64_t, int>> diverged;
  int silent_layer = -1;
  bool tells_checks = false;
};

// What goes wrong, and for how long.
struct Faults {
  Network::Faults network;
  // In percent of the coordinator's writes: interrupted before, or between two of the answers that follow.
  int interrupted_writes = 0;
  // A process fails about so often.
  int mean_pause_ms = 100;
  // From then on nothing goes wrong any more.
  int64_t end_ms = 0;
};

struct Scenario {
  std::vector<JobScenario> jobs;
  Faults faults;
};

// Draws one of the scenarios that a coordinator has to stand.
Scenario DrawScenario(Random* random);

}  // namespace evenkeel::core::simulation
