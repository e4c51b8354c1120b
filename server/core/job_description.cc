// What people and tools are told of a job: the read-only half of job.h.

#include <algorithm>
#include <map>

#include "server/core/job.h"
#include "server/core/layer_description.h"

namespace evenkeel::core {
namespace {

void AddFigures(const v1::WorkerFigures& figures, Fleet* fleet) {
  v1::WorkerFigures& sum = fleet->figures;
  fleet->has_figures = true;
  sum.set_staleness(std::max(sum.staleness(), figures.staleness()));
  sum.set_undelivered_steps(std::max(sum.undelivered_steps(), figures.undelivered_steps()));
  sum.set_lost_steps(sum.lost_steps() + figures.lost_steps());
  sum.set_max_commit_host_ns(std::max(sum.max_commit_host_ns(), figures.max_commit_host_ns()));
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

v1::DescribeJobResponse Job::Overview() const {
  v1::DescribeJobResponse response;
  *response.mutable_summary() = Summary();
  if (state_.halt.has_value()) *response.mutable_halt() = *state_.halt;
  *response.mutable_violations() = {state_.violations.begin(), state_.violations.end()};
  return response;
}

v1::DescribeJobResponse Job::Describe() const {
  v1::DescribeJobResponse response = Overview();
  DescribeLayers(plan_, job::ToProto(plan_, state_), &response);
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
    if (slot.worker != nullptr) *status->mutable_worker() = *slot.worker;
    if (slot.figures.has_value()) *status->mutable_figures() = *slot.figures;
    status->set_state(states[slot.member.contributor()]);
    if (slot.heard > absl::InfinitePast()) status->set_heard_ms_ago(absl::ToInt64Milliseconds(now_ - slot.heard));
    if (slot.last_push > absl::InfinitePast()) {
      status->set_pushed_ms_ago(absl::ToInt64Milliseconds(now_ - slot.last_push));
    }
  }
  return response;
}

core::Fleet Job::Fleet() const {
  core::Fleet fleet;
  for (const Slot& slot : slots_) {
    fleet.ranks += slot.member.ranks_size();
    if (!slot.joined) continue;
    fleet.workers.push_back(slot.worker);
    const uint64_t reached = std::max(slot.committed_step, slot.member.joined_after());
    if (!slot.pushed && reached < committed_step()) {
      fleet.lag_steps = std::max(fleet.lag_steps, committed_step() - reached);
    }
    if (slot.figures.has_value()) AddFigures(*slot.figures, &fleet);
  }
  for (const int contributor : reply_->participants()) {
    fleet.ranks_reporting += slots_[contributor].member.ranks_size();
  }
  if (plan_.effective.world_size() > 0) fleet.ranks = plan_.effective.world_size();
  return fleet;
}

}  // namespace evenkeel::core
