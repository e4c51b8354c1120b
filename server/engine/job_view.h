#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "server/core/effects.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::engine {

// What the commits of a job add up to since the coordinator started.
struct JobTotals {
  uint64_t tokens = 0;
  uint64_t stale_commits = 0;
  uint64_t lost_contributions = 0;
  uint64_t missing_contributions = 0;
  // By kind, in lower case; every kind is there.
  std::map<std::string, uint64_t> violations = NoViolations();

  void Add(const core::CommitEvent& commit);
  void Add(const core::ViolationEvent& event);

 private:
  static std::map<std::string, uint64_t> NoViolations();
};

// What the metrics page shows of a job that core has described.
std::shared_ptr<const telemetry::JobView> MakeJobView(const v1::DescribeJobResponse& description,
                                                      const JobTotals& totals);

// Likewise, with the layers described at the scrape, from the job's `state`.
telemetry::JobViewSource JobViewOf(v1::DescribeJobResponse overview, JobTotals totals,
                                   std::shared_ptr<const v1::JobState> state);

// One line on what cannot be right: job, step, kind, and where and whose it is.
std::string ViolationLine(const core::ViolationEvent& event);

// One line on what a commit lacks: job, step, and at most three of the contributors that had lost their counts.
std::string LostLine(const core::CommitEvent& commit);

// One line on the newest change of a job's config that an UpdateConfig has left.
std::string ConfigLine(const std::string& job, const v1::UpdateConfigResponse& response);

}  // namespace evenkeel::engine
