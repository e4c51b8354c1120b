#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "client/link/connection.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Tells the coordinator that a contributor's process is alive, a few times in the time after which it would count as
// lost, on a thread and by calls of its own: whatever its trainer does, and however long a push waits. What comes of a
// heartbeat is nobody's concern: pushes meet the same, and act on it.
class Heartbeat {
 public:
  // To `coordinator` (host:port), in the name of `join`. Silent until the first Beat.
  Heartbeat(std::string coordinator, const v1::JoinRequest& join, const Credentials& credentials);
  // Ends the call in progress.
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // From now on, in that epoch, so that `timeout` never passes in silence; zero: not at all. Thread-safe.
  void Beat(uint64_t epoch, std::chrono::milliseconds timeout);

  // Figures for the next beat, with those of the commits since the one before. Thread-safe.
  void Tell(const WorkerFigures& figures);

 private:
  void Run();
  // Waits for the next beat. False when there will be none.
  bool AwaitNext();
  // Into request_.
  void WriteFigures() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Of the thread.
  Connection connection_;
  v1::HeartbeatRequest request_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  // Between beats; zero: there are none.
  std::chrono::milliseconds period_ ABSL_GUARDED_BY(mutex_){0};
  Deadline next_ ABSL_GUARDED_BY(mutex_);
  // The newest; and, of the commits since the last beat, how many there were, and what they took.
  WorkerFigures figures_ ABSL_GUARDED_BY(mutex_);
  int64_t commits_ ABSL_GUARDED_BY(mutex_) = 0;
  std::chrono::nanoseconds commit_time_ ABSL_GUARDED_BY(mutex_){0};
  std::chrono::nanoseconds longest_commit_ ABSL_GUARDED_BY(mutex_){0};

  // The last member, for it reads the others.
  std::thread thread_;
};

}  // namespace evenkeel::client
