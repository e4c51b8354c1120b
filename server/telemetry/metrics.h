#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/log_event.h"
#include "server/telemetry/expert_mode.h"
#include "server/telemetry/job_view.h"

namespace evenkeel::telemetry {

// The coordinator's metrics; doc/metrics.md lists them. All methods are thread-safe; none blocks on a scrape.
class Metrics {
 public:
  struct Options {
    ExpertMode experts = {};
    // Folder of the state; empty where there is none to tell of.
    std::string state_dir = {};
    // May be called on the thread of a scrape.
    LogSink log = [](const LogEvent&) {};
  };
  Metrics();
  explicit Metrics(Options options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A push was answered or parked: "accepted", "duplicate", "late" or the reason it was refused for. Pushes of jobs
  // that have no view are counted under the empty name, so that strangers cannot make series. `result` must be one of a
  // few words.
  void CountPush(absl::string_view job, absl::string_view result);
  // Seconds from the first push of a step to its last, and those of the commit's write to disk. Of no effect while the
  // job has no view.
  void ObserveCommit(absl::string_view job, double barrier_seconds, double store_seconds);
  // The record of a job has a gap from here on. Of no effect while the job has no view.
  void CountRecordError(absl::string_view job);
  // A call of the service has been answered. `method` must be one of a few words; `seconds` from its arrival on, absent
  // for one that waits for others.
  void CountCall(absl::string_view method, absl::StatusCode code, std::optional<double> seconds);
  // The state could not be read or written.
  void CountStoreFailure();
  // Tells, at each scrape, how many connections are open; null where nobody does any more. Not called after that.
  void SetConnections(std::function<int()> connections);

  // Replaces what is shown of the job. All series of a job, its counters and histograms too, appear and vanish with its
  // view. The sources are called at each scrape of their page, on the thread of the scrape; without `experts` there is
  // nothing on the page of the experts.
  void Publish(const std::string& job, JobViewSource view, ExpertViewSource experts = nullptr);
  void Publish(std::shared_ptr<const JobView> view);
  void Remove(absl::string_view job);

  // The pages in the Prometheus text format, version 0.0.4.
  std::string Text() const;
  std::string ExpertText() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace evenkeel::telemetry
