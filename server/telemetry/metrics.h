#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace evenkeel::telemetry {

// What the metrics page shows of one job: a picture of its last commit.
struct JobView {
  // Or one of its streams.
  struct Layer {
    std::string name;
    double max_violation = 0;  // (largest count - mean) / mean, arXiv 2408.15664
    double min_violation = 0;
    double avg_violation = 0;
    uint64_t last_update_step = 0;
    // Not a number where the layer does not tell.
    double drop_rate = std::numeric_limits<double>::quiet_NaN();
    // Its number; empty where the layer has but one.
    std::string stream = {};
  };
  std::string job;
  uint64_t epoch = 0;
  uint64_t step = 0;
  int contributors = 0;
  int joined = 0;
  uint64_t staleness = 0;  // of the last commit, in steps
  // Since the coordinator started:
  uint64_t tokens_total = 0;  // valid tokens of all steps
  uint64_t stale_commits_total = 0;
  uint64_t lost_contributions_total = 0;
  uint64_t missing_contributions_total = 0;
  // Things that cannot be right, by the invariant that they violate, as doc/metrics.md names them.
  std::map<std::string, uint64_t> invariant_failures_total;
  bool halted = false;
  bool failed = false;
  // Contributors by what they are to the open step, as doc/metrics.md names it; and at most three that it waits for
  // too long.
  std::map<std::string, int> contributors_by_state;
  std::vector<int> stragglers;
  std::vector<Layer> layers;
};

using JobViewSource = std::function<std::shared_ptr<const JobView>()>;

// The coordinator's metrics; doc/metrics.md lists them. All methods are thread-safe; none blocks on a scrape.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A push was answered or parked: "accepted", "duplicate", "late" or the reason it was refused for. Pushes of jobs
  // that have no view are counted under the empty name, so that strangers cannot make series. `result` must be one of a
  // few words.
  void CountPush(absl::string_view job, absl::string_view result);
  // Seconds from the first push of a step to its commit, and those of the commit's write to disk. Of no effect while
  // the job has no view.
  void ObserveCommit(absl::string_view job, double barrier_seconds, double store_seconds);
  // The record of a job has a gap from here on. Of no effect while the job has no view.
  void CountRecordError(absl::string_view job);
  // Replaces what is shown of the job. All series of a job, its counters and histograms too, appear and vanish with its
  // view. `source` is called at each scrape, on the thread of the scrape: it makes the view, never null, from what does
  // not change any more.
  void Publish(const std::string& job, JobViewSource source);
  void Publish(std::shared_ptr<const JobView> view);
  void Remove(absl::string_view job);

  // The page in the Prometheus text format, version 0.0.4.
  std::string Text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace evenkeel::telemetry
