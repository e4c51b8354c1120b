#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "server/core/effects.h"
#include "server/core/fleet.h"
#include "server/history/history.h"
#include "server/telemetry/job_view.h"

namespace evenkeel::engine {

// What the commits of a job add up to since the coordinator started.
struct JobTotals {
  uint64_t tokens = 0;
  uint64_t stale_commits = 0;
  uint64_t lost_contributions = 0;
  uint64_t missing_contributions = 0;
  // By kind.
  std::array<uint64_t, v1::Violation::Kind_ARRAYSIZE> violations = {};
  // Of layers at commits, by the reason of what became of them.
  std::array<uint64_t, v1::UpdateReason::Kind_ARRAYSIZE> updates = {};

  void Add(const core::CommitEvent& commit);
  void Add(const core::ViolationEvent& event);
  // The state that a commit has made.
  void Add(const v1::JobState& state);
};

// What core tells of a job at every commit.
struct Overview {
  // Without spec, contributors and layers.
  v1::DescribeJobResponse description;
  core::Fleet fleet;
};

// What the metrics page shows of a job that core has described, its layers included.
std::shared_ptr<const telemetry::JobView> MakeJobView(const v1::DescribeJobResponse& description,
                                                      const core::Fleet& fleet, const JobTotals& totals);

// Likewise, with the layers described at the scrape: from the job's `state`, and from what `history` has then.
telemetry::JobViewSource JobViewOf(Overview overview, JobTotals totals, std::shared_ptr<const v1::JobState> state,
                                   std::shared_ptr<const history::History> history);

// What the page of the experts shows of it.
telemetry::ExpertViewSource ExpertViewOf(std::shared_ptr<const v1::JobState> state,
                                         std::shared_ptr<const history::History> history);

// One line on what cannot be right: job, step, kind, and where and whose it is.
std::string ViolationLine(const core::ViolationEvent& event);

// One line on what a commit lacks: job, step, and at most three of the contributors that had lost their counts.
std::string LostLine(const core::CommitEvent& commit);

// One line on the newest change of a job's config that an UpdateConfig has left.
std::string ConfigLine(const std::string& job, const v1::UpdateConfigResponse& response);

}  // namespace evenkeel::engine
