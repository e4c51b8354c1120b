#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"
#include "server/history/bias_timeline.h"
#include "server/history/count_window.h"
#include "server/history/update_trend.h"
#include "server/history/violation_timeline.h"

namespace evenkeel::history {

// What is remembered of a job at one moment, for whoever describes it in peace. Arrays are in the job's flat order.
struct Picture {
  std::shared_ptr<const job::JobPlan> plan;
  // Counts of all experts, of `window_steps` steps and of all since the coordinator's start.
  uint64_t window_steps = 0;
  std::vector<uint64_t> window;
  std::vector<uint64_t> totals;
  std::vector<UpdateTrend::Row> updates;
};

// What is remembered of one job's commits since it was first seen, or went on from another state. At 61 layers of 256
// experts it holds 6 MiB; count_window.h, update_trend.h, violation_timeline.h and bias_timeline.h say of what. A
// commit allocates nothing. Not thread-safe.
class JobHistory {
 public:
  // Of a job of which nothing is counted yet. Its spec is one that job::PlanJob made effective.
  explicit JobHistory(const v1::JobState& state);

  // The state that the commit of the step after `version` has made.
  void Add(const v1::JobState& state);
  // The same state with another config.
  void TakeConfig(const v1::JobState& state);

  // Of the newest state.
  const v1::Version& version() const { return version_; }

  Picture Look() const;
  // INVALID_ARGUMENT where the job has no such layer, or the layer no such stream.
  absl::StatusOr<v1::GetHistoryResponse> Describe(const v1::GetHistoryRequest& request) const;

 private:
  absl::Status DescribeBias(const v1::GetHistoryRequest& request, v1::GetHistoryResponse* response) const;

  // As it was for the newest step.
  std::shared_ptr<const job::JobPlan> plan_;
  // Changes of the config that are in force.
  int changes_ = 0;
  v1::Version version_;
  CountWindow counts_;
  UpdateTrend updates_;
  ViolationTimeline violations_;
  BiasTimeline bias_;
  // Of the newest step, of each row.
  std::vector<float> max_violation_;
  std::vector<float> avg_violation_;
};

// Sets the trend of each of `layers`, which are all of a job's, from a picture of it. Nothing where it has no step, or
// is of a job of another shape that had the name before.
void DescribeTrends(const Picture& picture, google::protobuf::RepeatedPtrField<v1::LayerStatus>* layers);

}  // namespace evenkeel::history
