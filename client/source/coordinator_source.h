#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/link/link.h"
#include "client/source/bias_source.h"
#include "client/source/continuation.h"
#include "client/source/push_log.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/layer_table.h"

namespace evenkeel::client {

// The rows that a contributor owns, of all rows of its job.
struct OwnedRows {
  job::LayerTable rows;
  std::vector<int> owned;  // ascending
  int experts = 0;         // of those
  int dispatched = 0;      // of those that count what a capacity limit left

  // Of `join`, whose job's layers are sorted by name, and have those that are owned.
  static OwnedRows Of(const v1::JoinRequest& join);
};

// A coordinator commits: every step is a push over a link. What it does not take waits in a log, and a thread of the
// source's delivers it in order. Where a version does not come, Await does as LossOptions say.
class CoordinatorSource : public BiasSource {
 public:
  // To `coordinator` (host:port). `join` is complete but for next_step, its layers sorted by name.
  CoordinatorSource(std::string coordinator, const v1::JoinRequest& join, const LossOptions& loss,
                    const LinkOptions& link = {});
  ~CoordinatorSource() override;

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  // Final errors: what the coordinator said; UNAVAILABLE where a loss is one; RESOURCE_EXHAUSTED where a full log is
  // one; INVALID_ARGUMENT where a device has refused rows.
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  Backlog backlog() override;
  void Tell(const WorkerFigures& figures) override { link_.Tell(figures); }

 private:
  // The caller's side; all of it under the mutex.
  bool Has(uint64_t due) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The newest version that is at most of step `due`. False when it has been given.
  bool Give(uint64_t due, v1::CommittedVersion* version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When a version that has not come counts as lost.
  Deadline GivesUpAt() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> DoWithout(uint64_t step, uint64_t due, v1::CommittedVersion* version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the coordinator will remember the newest version that is here when `step` is delivered.
  bool MayRoute(uint64_t step) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> MoveOn(uint64_t due, v1::CommittedVersion* version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Obstacle(uint64_t step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The delivering thread.
  void Run();
  // Writes the oldest step of the log into push_. False when the source ends.
  bool TakeNext();
  absl::Status Deliver(v1::CommittedVersion* version);
  void Arrived(v1::CommittedVersion* version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LossOptions loss_;
  const OwnedRows owned_;
  const std::vector<int> ranks_;  // that the pushes are of
  v1::JobSpec spec_;              // as in force, from Join on
  // The delivering thread's, kept from step to step for its memory; and the counts that go into it, or null.
  v1::PushRequest push_;
  StepCounts* delivered_ = nullptr;
  uint64_t delivered_bias_ = 0;  // PushLog::Step::bias_checksum
  Link link_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  PushLog log_ ABSL_GUARDED_BY(mutex_);
  Deadline pushed_at_ ABSL_GUARDED_BY(mutex_);
  // Why nothing more is delivered.
  absl::Status outcome_ ABSL_GUARDED_BY(mutex_);
  // Steps of the first version and of the one that was awaited last; the version that was given last, and newer ones,
  // ascending.
  uint64_t awaited_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t first_version_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::CommittedVersion given_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::CommittedVersion> arrived_ ABSL_GUARDED_BY(mutex_);
  // BiasChecksum of the bias that was given last: given_'s, or what this process has made of it.
  uint64_t bias_checksum_ ABSL_GUARDED_BY(mutex_) = 0;
  // The version that was awaited did not come in time; it has not come since, nor has all of the log been delivered.
  // While older ones come, a step still waits a little, or a trainer whose steps are short would never catch up with
  // its log.
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  Deadline arrived_at_ ABSL_GUARDED_BY(mutex_);
  // What this process makes of given_ by itself, while lost, and by the counts of which step last.
  std::unique_ptr<Continuation> continuation_ ABSL_GUARDED_BY(mutex_);
  uint64_t moved_on_to_ ABSL_GUARDED_BY(mutex_) = 0;

  // The last member, for it reads the others.
  std::thread delivery_;
};

// Writes the rows that are owned into `push`: everything that is a step's own, but for the step, the version and how
// it came about. short_slots and high words are left out where all are 0, dispatched where no row counts it. Reuses the
// memory of `push`.
void PackStep(const StepCounts& counts, const OwnedRows& owned, v1::PushRequest* push);

// What the ranks say of themselves: their fingerprints, unless none counted anything, and which of `ranks` had another
// bias than the one of that checksum.
void PackChecks(const StepCounts& counts, uint64_t bias_checksum, const std::vector<int>& ranks, v1::PushRequest* push);

// The same for a step whose counts are lost, but for ok and replayed.
void PackLoss(v1::PushRequest* push);

}  // namespace evenkeel::client
