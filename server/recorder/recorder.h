#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/log_event.h"
#include "base/mutex.h"
#include "server/core/record.h"
#include "server/recorder/job_record.h"

namespace evenkeel::recorder {

// Writes what the coordinator commits into the record (record.proto), a folder for each job, on a thread of its own.
// The record is telemetry: it is written after the commit is durable, nobody waits for it, and what it cannot take is
// missing. Then the job's record ends, which is told once, and begins again, behind a gap, as soon as it can.
//
// Take and Restore are called by one thread, in the order of the events; they never wait for a disk, and hand states
// over without copying them.
class Recorder {
 public:
  struct Options {
    // Made, for its owner alone, if it is missing.
    std::string directory;
    Bounds bounds;
    // Events that may wait for the disk, of all jobs together.
    int queue_size = 64;
    // How long a job whose record cannot be written is left in peace.
    absl::Duration retry_after = absl::Seconds(10);
  };

  // What the recorder tells; called on any of the two threads.
  struct Listener {
    // A line for people to read.
    LogSink log;
    // The record of a job has a gap from here on.
    std::function<void(const std::string& job)> gap;
  };

  // UNAVAILABLE, naming the directory, when it cannot be made or written to.
  static absl::StatusOr<std::unique_ptr<Recorder>> Start(const Options& options, Listener listener);

  // Writes what waits, and ends the thread.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Where an earlier life of the coordinator has left the jobs.
  void Restore(absl::Span<const core::JobRecord> records);

  // Writes that have become durable, in order.
  void Take(absl::Span<const core::Write> writes);

  // Waits until everything that was taken is written, or given up.
  void Flush();

 private:
  struct Item {
    std::string job;
    JobRecord::Event event;
    // Why the state is no consequence of the events before, if it is not.
    std::optional<v1::RecordedState::Cause> cause;
  };
  // A job's record on the thread that writes it.
  struct Writing {
    std::unique_ptr<JobRecord> record;
    absl::Time retry_at = absl::InfinitePast();
    bool has_gap = false;
  };

  Recorder(const Options& options, Listener listener);

  void Post(Item item);
  void Run();
  void Write(Item item);

  const Options options_;
  const Listener listener_;

  // Of the caller's thread.
  std::map<std::string, WholeState> states_;
  std::set<std::string> dropped_;

  // Of the thread.
  std::map<std::string, Writing> jobs_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace evenkeel::recorder
