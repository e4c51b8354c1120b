// What people and tools are told of a job: the read-only half of job.h.

#include <algorithm>
#include <map>
#include <numeric>

#include "kernels/balance/load_metrics.h"
#include "server/core/job.h"

namespace evenkeel::core {
namespace {

uint64_t Sum(const std::vector<uint64_t>& counts) { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

void DescribeDrops(const job::JobState::Layer& layer, v1::LayerStatus* status) {
  const uint64_t routed = Sum(layer.last_counts);
  if (layer.last_dispatched.empty() || routed == 0) return;
  const uint64_t dropped = routed - Sum(layer.last_dispatched);
  status->set_drop_rate(static_cast<double>(dropped) / static_cast<double>(routed));
}

void DescribeLoad(const balance::LoadMetrics& load, v1::LayerStatus* status) {
  status->set_max_violation(load.max_violation);
  status->set_min_violation(load.min_violation);
  status->set_avg_violation(load.avg_violation);
  status->set_coefficient_of_variation(load.cv);
  status->set_normalized_entropy(load.entropy);
  status->set_dead_experts(load.dead);
  status->set_starved_experts(load.starved);
}

}  // namespace

v1::JobSummary Job::Summary() const {
  v1::JobSummary summary;
  summary.set_name(name());
  *summary.mutable_version() = state_.version;
  summary.set_epoch(epoch_);
  summary.set_open_step(open_step());
  summary.set_contributors(slots_.size());
  summary.set_joined(std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.joined; }));
  summary.set_layers(plan_.effective.layers_size());
  summary.set_experts(plan_.layers.total_experts());
  double sum = 0;
  for (const float violation : reply_->max_violation()) sum += violation;
  summary.set_max_violation(sum / plan_.layers.size());
  summary.set_state_hash(versions_.back().state_hash);
  summary.set_staleness(state_.staleness);
  std::map<StateKind, int> counts;
  for (const StateKind state : States(Rules())) ++counts[state];
  for (const auto& [state, contributors] : counts) {
    v1::ContributorCount* count = summary.add_counts();
    count->set_state(state);
    count->set_contributors(contributors);
  }
  *summary.mutable_stragglers() = {stragglers_.begin(), stragglers_.end()};
  summary.set_failure(std::string(failure_.message()));
  return summary;
}

v1::DescribeJobResponse Job::DescribeLayers() const {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  if (state_.halt.has_value()) *response.mutable_halt() = *state_.halt;
  *response.mutable_violations() = {state_.violations.begin(), state_.violations.end()};
  for (int i = 0; i < plan_.layers.size(); ++i) {
    const job::JobState::Layer& layer = state_.layers[i];
    v1::LayerStatus* status = response.add_layers();
    status->set_name(plan_.layers[i].name);
    status->set_stream(plan_.layers[i].stream);
    status->set_num_experts(plan_.layers[i].num_experts);
    status->set_top_k(plan_.layers[i].top_k);
    status->set_last_reason(reply_->reasons(i));
    status->set_last_update(layer.balance.last_update);
    DescribeLoad(balance::ComputeLoadMetrics(layer.last_counts, plan_.balance[i].target), status);
    DescribeDrops(layer, status);
    const auto range = std::minmax_element(layer.balance.bias.begin(), layer.balance.bias.end());
    status->set_bias_min(*range.first);
    status->set_bias_max(*range.second);
  }
  return response;
}

v1::DescribeJobResponse Job::Describe() const {
  v1::DescribeJobResponse response = DescribeLayers();
  *response.mutable_effective() = InForce();
  *response.mutable_changes() = timeline_.ToProto();
  const std::vector<StateKind> states = States(Rules());
  for (const Slot& slot : slots_) {
    v1::ContributorStatus* status = response.add_contributors();
    status->set_contributor(slot.member.contributor());
    *status->mutable_ranks() = slot.member.ranks();
    status->set_incarnation(slot.member.incarnation());
    status->set_joined(slot.joined);
    status->set_pushed(slot.pushed);
    *status->mutable_worker() = slot.worker;
    status->set_state(states[slot.member.contributor()]);
    if (slot.heard > absl::InfinitePast()) status->set_heard_ms_ago(absl::ToInt64Milliseconds(now_ - slot.heard));
    if (slot.last_push > absl::InfinitePast()) {
      status->set_pushed_ms_ago(absl::ToInt64Milliseconds(now_ - slot.last_push));
    }
  }
  return response;
}

}  // namespace evenkeel::core
