#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "client/deadline.h"
#include "client/source/step_counts.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Where a worker's bias comes from: what becomes of the counts of a step, and of what every version is made.
//
//   Join -> Push -> Await -> Push -> Await -> ... -> Leave
//
// For one thread, which blocks in Join, Await and Leave, never longer than told.
class BiasSource {
 public:
  // Breaks off what is under way.
  virtual ~BiasSource() = default;

  // Takes its place for `next_step`, and tells the job as it is in force and its newest version. DEADLINE_EXCEEDED,
  // with what was met last, when `deadline` comes first; every other error is final.
  virtual absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) = 0;

  // Begins to commit `counts`, which belong to the source until Await gives their version. Does not wait.
  virtual void Push(StepCounts* counts) = 0;

  // Waits for the version of the pushed step. DEADLINE_EXCEEDED when `deadline` comes first: the commit goes on, and
  // Await may be called again. Every other error is final, and stays.
  virtual absl::Status Await(Deadline deadline, v1::CommittedVersion* version) = 0;

  // Gives the place back. Not between Push and the Await that gives its version. Errors as of Join.
  virtual absl::Status Leave(Deadline deadline) = 0;
};

}  // namespace evenkeel::client
