#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "client/source/bias_source.h"

namespace evenkeel::client {

// A source whose versions nobody waits for, because somebody else has the bias already: a device that moves it by
// itself. Pushes wait for their counts on a thread of this one's; Await gives what has come of them so far, which may
// be older than what is due.
class BackgroundSource : public BiasSource {
 public:
  explicit BackgroundSource(std::unique_ptr<BiasSource> inner);
  // Waits until the counts of the push under way are here.
  ~BackgroundSource() override;

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  Backlog backlog() override { return {}; }

 private:
  void Run();
  bool Give(v1::CommittedVersion* version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<BiasSource> inner_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The first is under way.
  std::deque<StepCountsPtr> pushes_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  // The newest version, and whether it has been given.
  v1::CommittedVersion newest_ ABSL_GUARDED_BY(mutex_);
  bool given_ ABSL_GUARDED_BY(mutex_) = true;

  std::thread thread_;
};

}  // namespace evenkeel::client
