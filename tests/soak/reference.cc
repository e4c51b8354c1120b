#include "tests/soak/reference.h"

#include <iterator>
#include <utility>

#include "absl/types/span.h"
#include "base/check.h"
#include "job/kept_versions.h"
#include "kernels/balance/reference_update.h"

namespace evenkeel::soak {

Reference::Reference(const SoakMessages* messages) : messages_(messages) {
  states_.push_back(job::InitialJobState(messages->plan()));
  Answer();
}

void Reference::Answer() { answer_ = job::CommittedVersionOf(messages_->plan(), states_.back())->SerializeAsString(); }

v1::JobState Reference::State() const { return Balancing(job::ToProto(messages_->plan(), states_.back())); }

void Reference::Commit(uint64_t epoch, const std::vector<Process>& participants) {
  const job::JobPlan& plan = messages_->plan();
  job::JobState state = states_.back();
  const uint64_t step = state.version.step() + 1;
  state.version.set_epoch(epoch);
  state.version.set_step(step);
  state.ok = true;
  state.participants.clear();
  std::vector<uint64_t> counts(plan.layers.total_experts());
  std::vector<uint64_t> tokens(plan.layers.size());
  for (const Process& process : participants) {
    const SoakMessages::Payload& payload = messages_->PayloadOf(process, step);
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += payload.counts[i];
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] += payload.tokens[i];
    state.ok = state.ok && messages_->Ok(process, step);
    state.participants.push_back(process.contributor);
  }
  const auto later = rates_.upper_bound(step);
  for (int i = 0; i < plan.layers.size(); ++i) {
    job::JobState::Layer& layer = state.layers[i];
    const auto first = counts.begin() + plan.layers[i].offset;
    layer.last_counts.assign(first, first + plan.layers[i].num_experts);
    layer.last_tokens = tokens[i];
    layer.total_tokens += tokens[i];
    if (state.ok) {
      balance::BalanceConfig config = plan.balance[i];
      if (later != rates_.begin()) config.rate = std::prev(later)->second;
      balance::ReferenceUpdate(config, {step, state.position + 1}, layer.last_counts, layer.last_tokens,
                               &layer.balance);
    } else {
      layer.balance.last_commit = step;
      layer.balance.last_reason = balance::UpdateReason::kSkipped;
    }
  }
  state.position += state.ok;
  states_.push_back(std::move(state));
  if (states_.size() > job::kKeptVersions) states_.pop_front();
  Answer();
}

void Reference::Rewind(uint64_t step) {
  while (states_.back().version.step() > step) states_.pop_back();
  EVENKEEL_CHECK(!states_.empty() && this->step() == step);
  Answer();
}

v1::JobState Balancing(v1::JobState state) {
  state.clear_spec();
  state.clear_fingerprint();
  state.clear_changes();
  state.clear_move();
  return state;
}

}  // namespace evenkeel::soak
