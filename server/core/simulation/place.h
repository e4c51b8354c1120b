#pragma once

#include <deque>
#include <string>

#include "server/core/simulation/checker.h"
#include "server/core/simulation/server.h"
#include "server/core/simulation/worker.h"
#include "server/core/simulation/world.h"

namespace evenkeel::core::simulation {

// A contributor's place, and whoever starts processes for it: one that dies is followed by another until the job is
// done. Some live on without knowing that they have been given up.
class Place {
 public:
  // All outlive the place.
  Place(World* world, Server* server, JobChecker* checker, int contributor);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  // Its first process starts within a while.
  void Start();
  // Something happens to its newest process.
  void Disturb();
  // All its processes end, and the next goes on from that checkpoint.
  void Restart(const Checkpoint& checkpoint);

  // Whether its newest process has heard of the last step.
  // Whether the job is still to go back to its checkpoint.
  bool rewinds() const { return checkpoint_.rewind; }
  const JobChecker* checker() const { return checker_; }
  bool finished() const { return !workers_.empty() && workers_.back().finished(); }
  // Where its newest process is.
  std::string Describe() const;

 private:
  void StartWorkerAfter(int delay_ms);
  void StartWorker();

  World* const world_;
  Server* const server_;
  JobChecker* const checker_;
  const int contributor_;
  Checkpoint checkpoint_;
  // The newest last.
  std::deque<Worker> workers_;
  // A process is about to start.
  bool starting_ = false;
};

}  // namespace evenkeel::core::simulation
