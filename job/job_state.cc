#include "job/job_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernels/balance/bias_hash.h"
#include "kernels/balance/load_metrics.h"
#include "kernels/balance/update.h"

namespace evenkeel::job {
namespace {

balance::Mode BalanceMode(const v1::JobSpec& spec) {
  switch (spec.mode()) {
    case v1::JobSpec::Mode::FROZEN:
      return balance::Mode::kFrozen;
    case v1::JobSpec::Mode::OBSERVE:
      return balance::Mode::kObserve;
    default:
      return balance::Mode::kBalance;
  }
}

// The enums name the same reasons in the same order; the test of this file holds them together.
v1::UpdateReason::Kind ReasonToProto(balance::UpdateReason reason) {
  return static_cast<v1::UpdateReason::Kind>(reason);
}

template <typename T, typename Field>
void Append(const std::vector<T>& values, Field* field) {
  field->Add(values.begin(), values.end());
}

template <typename T, typename Field>
bool Extract(const Field& field, int size, std::vector<T>* values) {
  values->assign(field.begin(), field.end());
  return field.size() == size;
}

// What the EMA held was the error of another rule.
void BeginEma(balance::Rule rule, JobState::Layer* layer) {
  std::fill(layer->balance.ema.begin(), layer->balance.ema.end(), 0.0f);
  layer->balance.ema_product = 1;
  layer->rule = rule;
}

int DispatchedExperts(const LayerTable::Row& row) { return row.dispatched_offset < 0 ? 0 : row.num_experts; }

std::vector<uint64_t> LayerHashes(const JobState& state) {
  std::vector<uint64_t> hashes;
  hashes.reserve(state.layers.size());
  for (const JobState::Layer& layer : state.layers) hashes.push_back(balance::HashBias(layer.balance.bias));
  return hashes;
}

absl::Span<const uint64_t> CountsOf(const LayerTable::Row& row, const StepSums& sums) {
  return absl::MakeSpan(sums.counts).subspan(row.offset, row.num_experts);
}

}  // namespace

JobState InitialJobState(const JobPlan& plan) {
  JobState state;
  state.version.set_epoch(1);
  for (int i = 0; i < plan.layers.size(); ++i) {
    const LayerTable::Row& row = plan.layers[i];
    JobState::Layer& layer = state.layers.emplace_back();
    layer.balance = balance::InitialState(row.num_experts);
    layer.last_counts.resize(row.num_experts);
    layer.rule = plan.balance[i].rule;
    layer.last_dispatched.resize(DispatchedExperts(row));
  }
  return state;
}

std::optional<balance::UpdateReason> WhyUnmoved(const JobPlan& plan, const CommitInputs& inputs,
                                                const JobState& state) {
  const bool applies = inputs.ok || plan.effective.skip_policy() == v1::JobSpec::SkipPolicy::APPLY;
  if (!applies) return balance::UpdateReason::kSkipped;
  if (state.halt.has_value()) return balance::UpdateReason::kHalted;
  if (inputs.replayed) return balance::UpdateReason::kReplayed;
  return std::nullopt;
}

void HaltFor(const JobPlan& plan, absl::Span<const v1::Violation> violations, uint64_t step, JobState* state) {
  const bool halts = plan.effective.invariant_policy() == v1::JobSpec::InvariantPolicy::HALT;
  if (!halts || violations.empty() || state->halt.has_value()) return;
  state->halt.emplace();
  state->halt->set_step(step);
  *state->halt->mutable_cause() = violations.front();
}

void MoveLayers(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state) {
  const std::optional<balance::UpdateReason> why_unmoved = WhyUnmoved(plan, inputs, *state);
  const uint64_t step = inputs.version.step();
  const balance::StepInfo info{step, state->position + 1, BalanceMode(plan.effective)};
  for (int i = 0; i < plan.layers.size(); ++i) {
    JobState::Layer& layer = state->layers[i];
    if (layer.rule != plan.balance[i].rule) BeginEma(plan.balance[i].rule, &layer);
    if (why_unmoved.has_value()) {
      balance::RecordUnmoved(step, *why_unmoved, &layer.balance);
    } else {
      balance::Update(plan.balance[i], info, CountsOf(plan.layers[i], sums), sums.tokens[i], &layer.balance);
    }
  }
}

void RecordStep(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state) {
  for (int i = 0; i < plan.layers.size(); ++i) {
    const LayerTable::Row& row = plan.layers[i];
    const absl::Span<const uint64_t> counts = CountsOf(row, sums);
    JobState::Layer& layer = state->layers[i];
    layer.last_counts.assign(counts.begin(), counts.end());
    layer.last_tokens = sums.tokens[i];
    layer.total_tokens += sums.tokens[i];
    if (row.dispatched_offset < 0) continue;
    const uint64_t* dispatched = &sums.dispatched[row.dispatched_offset];
    layer.last_dispatched.assign(dispatched, dispatched + row.num_experts);
  }
  state->version = inputs.version;
  state->ok = inputs.ok;
  state->participants = inputs.participants;
  state->staleness = inputs.staleness;
  state->stale_versions = inputs.stale_versions;
  state->violations = inputs.violations;
  if (inputs.ok) ++state->position;
}

void CommitStep(const JobPlan& plan, const CommitInputs& inputs, const StepSums& sums, JobState* state) {
  HaltFor(plan, inputs.violations, inputs.version.step(), state);
  MoveLayers(plan, inputs, sums, state);
  RecordStep(plan, inputs, sums, state);
}

uint64_t StateHash(const JobState& state) { return balance::CombineHashes(LayerHashes(state)); }

std::shared_ptr<const v1::CommittedVersion> CommittedVersionOf(const JobPlan& plan, const JobState& state) {
  auto reply = std::make_shared<v1::CommittedVersion>();
  *reply->mutable_version() = state.version;
  // The initial bias routes from step 1 on, whatever the lag.
  reply->set_valid_from(state.version.step() == 0 ? 1 : state.version.step() + 1 + plan.effective.lag());
  reply->set_ok(state.ok);
  const bool sends_bias = plan.effective.mode() != v1::JobSpec::Mode::OBSERVE;
  if (sends_bias) {
    reply->mutable_bias()->Reserve(plan.layers.total_experts());
    const std::vector<uint64_t> hashes = LayerHashes(state);
    Append(hashes, reply->mutable_layer_hashes());
    reply->set_state_hash(balance::CombineHashes(hashes));
  }
  // Of the layer with the most, over its streams.
  uint64_t tokens = 0;
  uint64_t of_layer = 0;
  for (size_t i = 0; i < state.layers.size(); ++i) {
    const JobState::Layer& layer = state.layers[i];
    if (sends_bias) Append(layer.balance.bias, reply->mutable_bias());
    reply->add_reasons(ReasonToProto(layer.balance.last_reason));
    reply->add_max_violation(static_cast<float>(balance::MaxViolation(layer.last_counts, plan.balance[i].target)));
    of_layer = layer.last_tokens + (plan.layers[i].stream > 0 ? of_layer : 0);
    tokens = std::max(tokens, of_layer);
  }
  Append(state.participants, reply->mutable_participants());
  reply->set_durable_step(state.version.step());
  reply->set_tokens(tokens);
  reply->set_staleness(state.staleness);
  *reply->mutable_violations() = {state.violations.begin(), state.violations.end()};
  return reply;
}

v1::JobState ToProto(const JobPlan& plan, const JobState& state) {
  v1::JobState message;
  *message.mutable_spec() = plan.effective;
  message.set_fingerprint(plan.fingerprint);
  *message.mutable_version() = state.version;
  message.set_position(state.position);
  message.set_initial_bias_hash(state.initial_bias_hash);
  if (state.halt.has_value()) *message.mutable_halt() = *state.halt;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const JobState::Layer& layer = state.layers[i];
    v1::LayerState* out = message.add_layers();
    out->set_layer(plan.layers[i].name);
    out->set_stream(plan.layers[i].stream);
    Append(layer.balance.bias, out->mutable_bias());
    Append(layer.balance.ema, out->mutable_ema());
    out->set_ema_product(layer.balance.ema_product);
    Append(layer.balance.counts, out->mutable_pending_counts());
    out->set_pending_tokens(layer.balance.tokens);
    out->set_last_commit(layer.balance.last_commit);
    out->set_last_update(layer.balance.last_update);
    out->set_last_reason(ReasonToProto(layer.balance.last_reason));
    Append(layer.last_counts, out->mutable_last_counts());
    out->set_last_tokens(layer.last_tokens);
    out->set_total_tokens(layer.total_tokens);
    Append(layer.last_dispatched, out->mutable_last_dispatched());
  }
  v1::CommitRecord* last_commit = message.mutable_last_commit();
  last_commit->set_ok(state.ok);
  Append(state.participants, last_commit->mutable_participants());
  last_commit->set_staleness(state.staleness);
  *last_commit->mutable_stale_versions() = {state.stale_versions.begin(), state.stale_versions.end()};
  *message.mutable_violations() = {state.violations.begin(), state.violations.end()};
  return message;
}

absl::StatusOr<JobState> FromProto(const JobPlan& plan, const v1::JobState& message) {
  if (message.layers_size() != plan.layers.size()) {
    return absl::DataLossError(
        absl::StrCat("the state has ", message.layers_size(), " layers and streams, its spec ", plan.layers.size()));
  }
  JobState state;
  state.version = message.version();
  state.position = message.position();
  state.initial_bias_hash = message.initial_bias_hash();
  if (message.has_halt()) state.halt = message.halt();
  const v1::CommitRecord& last_commit = message.last_commit();
  state.ok = last_commit.ok();
  state.participants.assign(last_commit.participants().begin(), last_commit.participants().end());
  state.staleness = last_commit.staleness();
  state.violations.assign(message.violations().begin(), message.violations().end());
  state.stale_versions.assign(last_commit.stale_versions().begin(), last_commit.stale_versions().end());
  for (int i = 0; i < plan.layers.size(); ++i) {
    const v1::LayerState& in = message.layers(i);
    const LayerTable::Row& row = plan.layers[i];
    const int experts = row.num_experts;
    JobState::Layer layer;
    const bool fits = in.layer() == row.name && static_cast<int>(in.stream()) == row.stream &&
                      Extract(in.bias(), experts, &layer.balance.bias) &&
                      Extract(in.ema(), experts, &layer.balance.ema) &&
                      Extract(in.pending_counts(), experts, &layer.balance.counts) &&
                      Extract(in.last_counts(), experts, &layer.last_counts) &&
                      Extract(in.last_dispatched(), DispatchedExperts(row), &layer.last_dispatched);
    if (!fits) {
      return absl::DataLossError(absl::StrCat("the state of layer \"", in.layer(), "\" stream ", in.stream(),
                                              " does not fit the spec's ", Quoted(row), " of ", experts, " experts"));
    }
    layer.balance.ema_product = in.ema_product();
    layer.balance.tokens = in.pending_tokens();
    layer.balance.last_commit = in.last_commit();
    layer.balance.last_update = in.last_update();
    layer.balance.last_reason = static_cast<balance::UpdateReason>(in.last_reason());
    layer.last_tokens = in.last_tokens();
    // States of earlier releases do not have it.
    layer.total_tokens = std::max(in.total_tokens(), in.last_tokens());
    layer.rule = plan.balance[i].rule;
    state.layers.push_back(std::move(layer));
  }
  return state;
}

}  // namespace evenkeel::job
