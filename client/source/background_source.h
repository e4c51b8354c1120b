#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "client/source/bias_source.h"

namespace evenkeel::client {

// A source whose versions nobody waits for, because somebody else has the bias already: a device that moves it by
// itself. Pushes wait for their counts, and are committed, on a thread of this one's; Await gives what has come of them
// so far, which may be older than what is due.
class BackgroundSource : public BiasSource {
 public:
  // `inner` commits in Push, without waiting for anything but the counts.
  explicit BackgroundSource(std::unique_ptr<BiasSource> inner);
  // Waits for the counts of the push under way: whoever brings them has to give them up first.
  ~BackgroundSource() override;

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<v1::Snapshot> Save(uint64_t step, Deadline deadline) override;
  Backlog backlog() override { return {}; }
  void Tell(const WorkerFigures& figures) override { inner_->Tell(figures); }

 private:
  // Until all that was pushed is committed.
  absl::Status Drain(Deadline deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  // The newest version up to that of step `due`. False when it has been given.
  bool Give(uint64_t due, v1::CommittedVersion* version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<BiasSource> inner_;
  // From Join on.
  int lag_ = 0;
  uint64_t first_version_ = 0;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The first is under way.
  std::deque<StepCountsPtr> pushes_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  // Not given yet, ascending.
  std::deque<v1::CommittedVersion> made_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace evenkeel::client
