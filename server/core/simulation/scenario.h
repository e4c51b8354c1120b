#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "evenkeel/v1/job.pb.h"
#include "server/core/simulation/network.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core::simulation {

// One job, and what its contributors do.
struct JobScenario {
  v1::JobSpec spec;
  // By contributor, each ascending: the layers that it counts, all of them or those of its stage, and the ranks that it
  // stands for.
  std::vector<std::vector<int>> layers;
  std::vector<std::vector<int>> ranks;
  uint64_t steps = 0;
  // Every process counts other tokens than the one before it, not only every training.
  bool fresh_counts = false;
  // As in job::ReferenceModel::Options.
  uint64_t seed = 0;
  uint64_t one_skip_in = 0;
  uint64_t one_replay_in = 0;
  uint64_t scale = 1;
  std::map<int, int> twin_of;
  std::set<std::pair<uint64_t, int>> diverged;
  int silent_layer = -1;
  bool tells_checks = false;

  bool has_groups() const;
  bool has_stages() const;
  // The rows of each contributor, ascending.
  std::vector<std::vector<int>> Owned() const;
};

// Something that happens to a process, to the network or to a clock.
struct Incident {
  enum class Kind {
    kWorkerCrashes,
    kWorkerLeaves,
    kWorkerHangs,  // and says that it is alive
    kWorkerSlows,
    kWorkerGivenUp,  // another process takes its place, and it does not know
    kPartition,
    kServerCrashes,
    kServerStops,
    kWriteInterrupted,  // the next one: the coordinator dies before it, or between two of the answers after it
    kClockJumps,
    kClockStands,
    kTrainingRestarts,  // from a checkpoint
  };

  Kind kind = Kind::kWorkerCrashes;
  int64_t at_ms = 0;
  // "job/0"; of kPartition all that are cut off.
  std::vector<std::string> places = {};
  Direction direction = Direction::kBoth;
  // How long it lasts, or how far the clock jumps.
  int64_t duration_ms = 0;
  // Of all else that is to be drawn.
  uint64_t seed = 0;
};

// "server-crashes"
const char* NameOf(Incident::Kind kind);
std::string PlaceName(const JobScenario& job, int contributor);

// What goes wrong, and for how long.
struct Faults {
  NetworkFaults network;
  // In the order of their times.
  std::vector<Incident> incidents;
  // From then on nothing goes wrong any more.
  int64_t end_ms = 0;
};

struct Scenario {
  std::vector<JobScenario> jobs;
  // As in v1::CoordinatorConfig; 0: never. Trainings do not restart in jobs that may expire: what they would go back to
  // may have been forgotten.
  uint64_t job_expiry_ms = 0;
  Faults faults;
};

// Draws one of the scenarios that a coordinator has to stand.
Scenario DrawScenario(Random* random);

}  // namespace evenkeel::core::simulation
