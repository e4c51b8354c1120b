#pragma once

#include <deque>
#include <string>

#include "server/core/simulation/checker.h"
#include "server/core/simulation/random.h"
#include "server/core/simulation/scenario.h"
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
  // Something happens to its newest process, where there is one that can suffer it. While the training restarts nobody
  // is given up alive: a process that the coordinator has not heard of, and that asks to go back, cannot be told from
  // the one that took its place.
  bool CanSuffer(const Incident& incident) const;
  void Suffer(const Incident& incident);
  // All its processes end, and the next goes on from that checkpoint.
  void Restart(const Checkpoint& checkpoint);

  const std::string& name() const { return name_; }
  const JobChecker* checker() const { return checker_; }
  // Whether the job is still to go back to its checkpoint.
  bool rewinds() const { return *checkpoint_.rewind; }
  // Whether its newest process has heard of the last step.
  bool finished() const { return !workers_.empty() && workers_.back().finished(); }
  // Where its newest process is.
  std::string Describe() const;

 private:
  void StartWorkerAfter(int64_t delay_ms);
  void StartWorker();

  World* const world_;
  Server* const server_;
  JobChecker* const checker_;
  const int contributor_;
  const std::string name_;
  Random random_;
  Checkpoint checkpoint_;
  // The newest last.
  std::deque<Worker> workers_;
  // How much longer than usual it takes until the next process starts.
  int64_t absence_ms_ = 0;
  // A process is about to start.
  bool starting_ = false;
};

}  // namespace evenkeel::core::simulation
