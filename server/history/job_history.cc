#include "server/history/job_history.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "kernels/balance/load_metrics.h"

namespace evenkeel::history {
namespace {

std::shared_ptr<const job::JobPlan> PlanOf(const v1::JobState& state) {
  absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(state.spec(), state.fingerprint());
  EVENKEEL_CHECK(plan.ok());
  return std::make_shared<const job::JobPlan>(*std::move(plan));
}

std::vector<float> BiasOf(const v1::JobState& state) {
  std::vector<float> bias;
  for (const v1::LayerState& layer : state.layers()) bias.insert(bias.end(), layer.bias().begin(), layer.bias().end());
  return bias;
}

int ChangesInForce(const v1::JobState& state) {
  return static_cast<int>(
      std::count_if(state.changes().begin(), state.changes().end(),
                    [&](const v1::ConfigChange& change) { return change.from_step() <= state.version().step(); }));
}

absl::Status NoSuchRow(const v1::GetHistoryRequest& request, absl::string_view what) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                      absl::StrCat("layer \"", absl::CHexEscape(request.layer()), "\", stream ", request.stream(),
                                   ": job \"", request.job(), "\" has no such ", what));
}

}  // namespace

JobHistory::JobHistory(const v1::JobState& state)
    : plan_(PlanOf(state)),
      changes_(ChangesInForce(state)),
      version_(state.version()),
      counts_(plan_->layers.total_experts()),
      updates_(plan_->layers.size(), BiasOf(state)),
      violations_(plan_->layers.size()),
      bias_(plan_->layers.total_experts()),
      max_violation_(plan_->layers.size()),
      avg_violation_(plan_->layers.size()) {}

void JobHistory::Add(const v1::JobState& state) {
  version_ = state.version();
  if (ChangesInForce(state) != changes_) TakeConfig(state);
  counts_.BeginStep();
  for (int i = 0; i < plan_->layers.size(); ++i) {
    const job::LayerTable::Row& row = plan_->layers[i];
    const v1::LayerState& layer = state.layers(i);
    const auto counts = absl::MakeConstSpan(layer.last_counts().data(), layer.last_counts_size());
    const balance::Violations violations = balance::ComputeViolations(counts, plan_->balance[i].target);
    max_violation_[i] = static_cast<float>(violations.max);
    avg_violation_[i] = static_cast<float>(violations.avg);
    counts_.Add(row.offset, counts);
    if (layer.last_reason() != v1::UpdateReason::MOVED) continue;
    updates_.Update(i, row.offset, absl::MakeConstSpan(layer.bias().data(), layer.bias_size()));
  }
  violations_.Add(version_.step(), max_violation_, avg_violation_);
  bias_.Add(version_.step(), updates_.bias());
}

void JobHistory::TakeConfig(const v1::JobState& state) {
  plan_ = PlanOf(state);
  changes_ = ChangesInForce(state);
}

Picture JobHistory::Look() const {
  return {plan_, counts_.steps(), counts_.Window(), counts_.totals(), updates_.rows()};
}

absl::StatusOr<v1::GetHistoryResponse> JobHistory::Describe(const v1::GetHistoryRequest& request) const {
  v1::GetHistoryResponse response;
  for (const job::LayerTable::Row& row : plan_->layers.rows()) {
    v1::HistoryRow* described = response.add_rows();
    described->set_layer(row.name);
    described->set_stream(row.stream);
    described->set_num_experts(row.num_experts);
  }
  violations_.Describe(&response);
  if (!request.layer().empty()) EVENKEEL_RETURN_IF_ERROR(DescribeBias(request, &response));
  return response;
}

absl::Status JobHistory::DescribeBias(const v1::GetHistoryRequest& request, v1::GetHistoryResponse* response) const {
  const int first = plan_->layers.Find(request.layer());
  if (first < 0) return NoSuchRow(request, "layer");
  if (request.stream() >= static_cast<uint32_t>(plan_->layers[first].streams)) return NoSuchRow(request, "stream");
  const job::LayerTable::Row& row = plan_->layers[first + static_cast<int>(request.stream())];
  bias_.Describe(row.offset, row.num_experts, updates_.bias(), response);
  return absl::OkStatus();
}

void DescribeTrends(const Picture& picture, google::protobuf::RepeatedPtrField<v1::LayerStatus>* layers) {
  const job::JobPlan& plan = *picture.plan;
  if (picture.window_steps == 0 || layers->size() != plan.layers.size()) return;
  for (int i = 0; i < layers->size(); ++i) {
    const job::LayerTable::Row& row = plan.layers[i];
    const balance::LoadMetrics load = balance::ComputeLoadMetrics(
        absl::MakeConstSpan(picture.window).subspan(row.offset, row.num_experts), plan.balance[i].target);
    v1::LayerTrend* trend = layers->Mutable(i)->mutable_trend();
    trend->set_window_steps(picture.window_steps);
    trend->set_max_violation(load.max_violation);
    trend->set_min_violation(load.min_violation);
    trend->set_avg_violation(load.avg_violation);
    trend->set_dead_experts(load.dead);
    trend->set_starved_experts(load.starved);
    trend->set_largest_update(picture.updates[i].largest_update);
    trend->set_sign_flip_ratio(picture.updates[i].sign_flip_ratio);
  }
}

}  // namespace evenkeel::history
