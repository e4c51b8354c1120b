#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace evenkeel::telemetry {

// What there is no number for: it has no series.
inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// What the metrics page shows of one job: a picture of its last commit.
struct JobView {
  // Or one of its streams. doc/metrics.md says what the numbers are.
  struct Layer {
    std::string name;
    double max_violation = 0;  // (largest count - mean) / mean, arXiv 2408.15664
    double min_violation = 0;
    double avg_violation = 0;
    uint64_t last_update_step = 0;
    // kNone where the layer does not tell.
    double drop_rate = kNone;
    // Its number; empty where the layer has but one.
    std::string stream = {};
    double load_cv = kNone;
    double load_entropy = kNone;
    double noise_floor = kNone;
    // Of the newest steps together.
    double window_max_violation = kNone;
    double window_min_violation = kNone;
    double window_avg_violation = kNone;
    double dead_experts = kNone;
    double starved_experts = kNone;
    double bias_min = kNone;
    double bias_max = kNone;
    double bias_stddev = kNone;
    // Of the last updates.
    double bias_update_max = kNone;
    double sign_flip_ratio = kNone;
    // Why the last commit moved it or did not; empty before the first.
    std::string update_reason = {};
  };

  // Contributors that run on the same.
  struct Workers {
    // By the name of the label.
    std::map<std::string, std::string> info;
    int contributors = 0;
  };

  std::string job;
  uint64_t epoch = 0;
  uint64_t step = 0;
  int contributors = 0;
  int joined = 0;
  uint64_t staleness = 0;  // of the last commit, in steps
  uint64_t lag_steps = 0;
  int ranks = 0;
  int ranks_reporting = 0;
  // Since the coordinator started:
  uint64_t tokens_total = 0;  // valid tokens of all steps
  uint64_t stale_commits_total = 0;
  uint64_t lost_contributions_total = 0;
  uint64_t missing_contributions_total = 0;
  // Things that cannot be right, by the invariant that they violate, as doc/metrics.md names them.
  std::map<std::string, uint64_t> invariant_failures_total;
  // Updates that were not made, by the reason.
  std::map<std::string, uint64_t> skipped_updates_total;
  bool halted = false;
  bool failed = false;
  // Contributors by what they are to the open step, as doc/metrics.md names it; and at most three that it waits for
  // too long.
  std::map<std::string, int> contributors_by_state;
  std::vector<int> stragglers;
  // What the contributors run on, and of each kind of thing how many there are.
  std::vector<Workers> workers;
  std::map<std::string, int> worker_versions;
  // As the contributors tell of themselves: the most, and of the lost steps the sum; kNone where none does.
  double worker_staleness = kNone;
  double worker_undelivered_steps = kNone;
  double worker_lost_steps_total = kNone;
  double worker_commit_host_seconds = kNone;
  std::vector<Layer> layers;
};

// What the page of the experts shows of one job. Arrays have a number for each expert.
struct ExpertView {
  struct Layer {
    std::string name;
    std::string stream;  // as in JobView
    // Count over wanted count, of the last commit; kNone for an expert without a wanted count.
    std::vector<double> load;
    std::vector<float> bias;
    // Since the coordinator started.
    std::vector<uint64_t> tokens_total;
  };
  std::string job;
  std::vector<Layer> layers;
};

// Make the views, never null, from what does not change any more.
using JobViewSource = std::function<std::shared_ptr<const JobView>()>;
using ExpertViewSource = std::function<std::shared_ptr<const ExpertView>()>;

}  // namespace evenkeel::telemetry
