#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "server/core/record.h"
#include "server/history/job_history.h"

namespace evenkeel::history {

// What is remembered of the commits of all jobs since the coordinator's start, beyond their newest states: telemetry,
// which nothing is decided by. It is fed after the commits are durable and answered.
//
// Restore and Take are called by one thread, in the order of the events; everything else by any, and holds up that one
// no longer than it takes to copy what it asks for.
class History {
 public:
  // A job that is here, or here again, with this state. Begins its history.
  void Restore(const v1::JobState& state);
  // Writes that have become durable, in order. A job that goes on from another state than its newest begins anew, and
  // one that expires is forgotten. Below 100 microseconds for a commit of 61 layers with 256 experts
  // (history_benchmark.cc).
  void Take(absl::Span<const core::Write> writes);

  // Nothing where the job is not known.
  std::optional<Picture> Look(absl::string_view job) const;
  // NOT_FOUND (JOB_UNKNOWN), and errors of JobHistory::Describe.
  absl::StatusOr<v1::GetHistoryResponse> Describe(const v1::GetHistoryRequest& request) const;

 private:
  struct Entry {
    Mutex mutex;
    std::optional<JobHistory> history ABSL_GUARDED_BY(mutex);
  };

  std::shared_ptr<Entry> Find(absl::string_view job) const;
  void Begin(const std::string& job, const v1::JobState& state);
  void Take(const core::Write& write);

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>, std::less<>> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::history
