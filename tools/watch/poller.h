#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "tools/coordinator_call.h"
#include "tools/load_rows.h"

namespace evenkeel::tools {

// What a coordinator said at one time.
struct WatchAnswer {
  // OK, or why the rest is not there.
  absl::Status status;
  // Those in trouble first.
  std::vector<std::string> jobs;
  // The job asked for, or, where none was, the first of them; empty where there is none.
  std::string job;
  v1::DescribeJobResponse description;
  // Without loads, where they were not asked for, or the caller may not have them.
  std::vector<LoadRow> rows;
  uint64_t loads_step = 0;
};

// Asks a coordinator about `job` (empty: the first). After an error the next call is on a new connection, so that a
// coordinator that was started again is found at once. Not thread-safe but for Cancel.
class WatchCaller {
 public:
  // `options` outlive it.
  WatchCaller(const CoordinatorOptions& options, bool with_loads);

  WatchAnswer Ask(const std::string& job);

  // Ends the call that is under way, and all that follow.
  void Cancel();

 private:
  absl::Status Fill(const std::string& job, WatchAnswer* answer);

  const CoordinatorOptions& options_;
  const bool with_loads_;
  Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<CoordinatorCaller> caller_ ABSL_GUARDED_BY(mutex_);
};

// Asks every so often, on a thread of its own.
class WatchPoller {
 public:
  // `options` outlive it.
  WatchPoller(const CoordinatorOptions& options, absl::Duration interval, std::string job);
  ~WatchPoller();
  WatchPoller(const WatchPoller&) = delete;
  WatchPoller& operator=(const WatchPoller&) = delete;

  // Readable where there is an answer that Take has not given.
  int descriptor() const { return ready_; }
  WatchAnswer Take();

  // From now on, and at once, the answers are about `job`.
  void Choose(const std::string& job);

 private:
  void Run();

  const absl::Duration interval_;
  WatchCaller caller_;
  int ready_ = -1;  // the ends of a pipe
  int told_ = -1;
  Mutex mutex_;
  CondVar changed_;
  std::string job_ ABSL_GUARDED_BY(mutex_);
  bool is_chosen_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
  WatchAnswer answer_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace evenkeel::tools
