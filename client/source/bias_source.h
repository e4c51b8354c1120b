#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/deadline.h"
#include "client/source/step_counts.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Where a worker's bias comes from: what becomes of the counts of a step, and of what every version is made.
//
//   Join(s) -> Push(s) -> Await(s + 1) -> Push(s + 1) -> Await(s + 2) -> ... -> Leave
//
// For one thread, which blocks in Join, Await and Leave, never longer than told.
class BiasSource {
 public:
  // Breaks off what is under way.
  virtual ~BiasSource() = default;

  // Takes its place for `next_step`, and tells the job as it is in force, with the version that routes next_step:
  // joined->previous() where there is one, else joined->version(). DEADLINE_EXCEEDED, with what was met last, when
  // `deadline` comes first; every other error is final.
  virtual absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) = 0;

  // Begins to commit the next step. Does not wait.
  virtual void Push(StepCountsPtr counts) = 0;

  // Waits for the version that routes `step`, the one after the last push: with lag L that of step - 1 - L. True when
  // `*version` has it; false when it is the one given last, or when an older one is to be held on to, and `*version` is
  // untouched. What is given is never older than what was given before, and never newer than what is valid from `step`.
  // DEADLINE_EXCEEDED when `deadline` comes first: the commit goes on, and Await may be called again. Every other error
  // is final, and stays.
  virtual absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) = 0;

  // Waits until all that was pushed is committed, gives the newest version (as Await does), and gives the place back.
  // Errors as of Await.
  virtual absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) = 0;

  // The state after `step`, the one that was pushed last, where it is this process that commits: waits until it has.
  // DEADLINE_EXCEEDED when `deadline` comes first. FAILED_PRECONDITION where a coordinator has it.
  virtual absl::StatusOr<v1::Snapshot> Save(uint64_t step, Deadline deadline);

  // Steps that are pushed and not committed yet, as far as this process knows; and steps whose counts were lost,
  // because more of them waited than may be kept.
  struct Backlog {
    uint64_t undelivered = 0;
    uint64_t lost = 0;
  };
  virtual Backlog backlog() = 0;

  // Figures of a commit, for whoever looks after the job. Between Join and Leave, for any thread; never waits.
  virtual void Tell(const WorkerFigures&) {}
};

inline absl::StatusOr<v1::Snapshot> BiasSource::Save(uint64_t, Deadline) {
  return absl::FailedPreconditionError("the coordinator has the state of the job");
}

// The step of the version that routes `step`, of a worker whose first version was that of `first`.
inline uint64_t DueVersion(uint64_t step, int lag, uint64_t first) {
  const uint64_t behind = 1 + static_cast<uint64_t>(lag);
  return step >= first + behind ? step - behind : first;
}

}  // namespace evenkeel::client
