#include "server/recorder/replayer.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "job/state_shape.h"
#include "kernels/balance/bias_hash.h"
#include "kernels/balance/update.h"

namespace evenkeel::recorder {
namespace {

template <typename... Words>
absl::Status Damaged(const Words&... words) {
  return absl::DataLossError(absl::StrCat(words...));
}

// Bits, not values.
bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool Same(const balance::LayerState& a, const balance::LayerState& b) {
  return SameBits(a.bias, b.bias) && SameBits(a.ema, b.ema) && a.ema_product == b.ema_product && a.counts == b.counts &&
         a.tokens == b.tokens && a.last_reason == b.last_reason;
}

bool Same(const v1::Version& a, const v1::Version& b) { return a.epoch() == b.epoch() && a.step() == b.step(); }

v1::UpdateReason::Kind ReasonOf(const balance::LayerState& layer) {
  return static_cast<v1::UpdateReason::Kind>(layer.last_reason);
}

using Sum = unsigned __int128;

Sum SumOf(absl::Span<const uint64_t> counts) { return std::accumulate(counts.begin(), counts.end(), Sum{0}); }

}  // namespace

absl::Status Replayer::Take(const v1::RecordedEvent& event) {
  if (difference_.has_value()) return absl::OkStatus();
  if (event.has_state()) return TakeState(event.state());
  if (!state_.has_value()) return Damaged("the record does not begin with a state");
  return event.has_commit() ? TakeCommit(event.commit()) : TakeConfig(event.config());
}

absl::Status Replayer::TakeState(const v1::RecordedState& event) {
  const v1::JobState& newest = event.state();
  absl::Status shape = job::CheckStateShape(newest);
  if (!shape.ok()) return Damaged("state: ", shape.message());
  const absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(newest.spec(), newest.fingerprint());
  if (!plan.ok()) return Damaged("state: ", plan.status().message());
  EVENKEEL_ASSIGN_OR_RETURN(job::JobState state, job::FromProto(*plan, newest));
  EVENKEEL_ASSIGN_OR_RETURN(job::ConfigTimeline timeline, job::ConfigTimeline::FromProto(*plan, newest.changes()));
  job::Move move = job::InitialMove(*plan, state);
  if (newest.has_move()) {
    const auto base = std::find_if(event.earlier().begin(), event.earlier().end(), [&](const v1::JobState& earlier) {
      return earlier.version().step() == newest.move().base_step();
    });
    if (base == event.earlier().end()) return Damaged("the state of step ", newest.move().base_step(), " is missing");
    const absl::StatusOr<job::JobPlan> base_plan = job::WithChange(*plan, job::ChangeOf(base->spec()));
    if (!base_plan.ok()) return Damaged("earlier state: ", base_plan.status().message());
    shape = job::CheckStateShape(*base);
    if (!shape.ok()) return Damaged("earlier state: ", shape.message());
    EVENKEEL_ASSIGN_OR_RETURN(job::JobState base_state, job::FromProto(*base_plan, *base));
    EVENKEEL_ASSIGN_OR_RETURN(move, job::MoveFromProto(*plan, state, newest.move(),
                                                       std::make_shared<const job::JobState>(std::move(base_state))));
  }
  if (state_.has_value()) {
    const bool follows = event.cause() != v1::RecordedState::REPLACED && Same(state.version, state_->version);
    if (follows && plan->layers.size() == plan_.layers.size()) CompareStates(state);
    NoteHead(event.cause(), state.version.step());
    if (difference_.has_value()) return absl::OkStatus();
  }
  plan_ = *plan;
  timeline_ = std::move(timeline);
  state_ = std::move(state);
  move_ = std::move(move);
  return absl::OkStatus();
}

void Replayer::NoteHead(v1::RecordedState::Cause cause, uint64_t step) {
  const uint64_t before = state_->version.step();
  if (cause == v1::RecordedState::REPLACED || cause == v1::RecordedState::MADE || step < before) {
    notes_.push_back({Note::Kind::kBack, step});
    return;
  }
  if (step > before) notes_.push_back({Note::Kind::kGap, before + 1, step});
  if (cause == v1::RecordedState::STARTED) notes_.push_back({Note::Kind::kStarted, step});
}

void Replayer::CompareStates(const job::JobState& recorded) {
  for (size_t i = 0; i < recorded.layers.size(); ++i) {
    const balance::LayerState& ours = state_->layers[i].balance;
    const balance::LayerState& theirs = recorded.layers[i].balance;
    if (Same(ours, theirs)) continue;
    difference_ = Difference{state_->version.step(),       plan_.layers[i].name, balance::HashBias(theirs.bias),
                             balance::HashBias(ours.bias), ReasonOf(theirs),     ReasonOf(ours)};
    return;
  }
}

absl::Status Replayer::CheckCommit(const v1::RecordedCommit& event) const {
  const uint64_t step = event.version().step();
  if (step != state_->version.step() + 1 || event.version().epoch() < state_->version.epoch()) {
    return Damaged("step ", step, " of epoch ", event.version().epoch(), " comes after step ", state_->version.step(),
                   " of epoch ", state_->version.epoch());
  }
  const int layers = plan_.layers.size();
  if (event.counts_size() == plan_.layers.total_experts() && event.tokens_size() == layers &&
      event.dispatched_size() == plan_.layers.dispatched_experts() && event.reasons_size() == layers &&
      event.layer_hashes_size() == layers) {
    return absl::OkStatus();
  }
  return Damaged("step ", step, " has ", event.counts_size(), " counts, ", event.dispatched_size(), " dispatched, ",
                 event.tokens_size(), " tokens, ", event.reasons_size(), " reasons and ", event.layer_hashes_size(),
                 " hashes, for ", layers, " layers with ", plan_.layers.total_experts(), " experts");
}

// More than this no coordinator would have accepted.
absl::Status Replayer::CheckRoom(const job::StepSums& sums) const {
  for (int i = 0; i < plan_.layers.size(); ++i) {
    const job::LayerTable::Row& row = plan_.layers[i];
    const auto counts_of = [&](const job::StepSums& of) {
      return SumOf(absl::MakeConstSpan(of.counts).subspan(row.offset, row.num_experts));
    };
    const balance::LayerState& base = move_.base->layers[i].balance;
    const balance::LayerState& now = state_->layers[i].balance;
    const Sum counts = counts_of(sums) + std::max(SumOf(base.counts) + counts_of(move_.sums), SumOf(now.counts));
    const Sum tokens = Sum{sums.tokens[i]} + std::max(Sum{base.tokens} + move_.sums.tokens[i], Sum{now.tokens});
    if (counts <= balance::kMaxCountSum && tokens <= balance::kMaxCountSum) continue;
    return Damaged(Quoted(row), " has more counts than an update can hold");
  }
  return absl::OkStatus();
}

absl::Status Replayer::TakeCommit(const v1::RecordedCommit& event) {
  EVENKEEL_RETURN_IF_ERROR(CheckCommit(event));
  job::StepSums sums;
  sums.counts.assign(event.counts().begin(), event.counts().end());
  sums.tokens.assign(event.tokens().begin(), event.tokens().end());
  sums.dispatched.assign(event.dispatched().begin(), event.dispatched().end());
  EVENKEEL_RETURN_IF_ERROR(CheckRoom(sums));
  job::CommitInputs inputs;
  inputs.version = event.version();
  inputs.ok = event.ok();
  inputs.replayed = event.replayed();
  inputs.replayed = event.replayed();
  inputs.participants.assign(event.participants().begin(), event.participants().end());
  inputs.staleness = event.staleness();
  inputs.stale_versions.assign(event.stale_versions().begin(), event.stale_versions().end());
  inputs.violations.assign(event.violations().begin(), event.violations().end());
  if (event.has_halt()) state_->halt = event.halt();
  const uint64_t step = event.version().step();
  if (timeline_->At(step).from_step() == step) plan_ = PlanAt(std::move(plan_), *timeline_, step);
  job::CommitRoutedStep(plan_, inputs, event.routed_with(), event.stale(), sums, &*state_, &move_);
  ++steps_;
  CompareCommit(event);
  return absl::OkStatus();
}

void Replayer::CompareCommit(const v1::RecordedCommit& event) {
  for (int i = 0; i < plan_.layers.size(); ++i) {
    const balance::LayerState& layer = state_->layers[i].balance;
    const uint64_t hash = balance::HashBias(layer.bias);
    if (hash == event.layer_hashes(i) && ReasonOf(layer) == event.reasons(i)) continue;
    difference_ = Difference{event.version().step(), plan_.layers[i].name, event.layer_hashes(i), hash,
                             event.reasons(i),       ReasonOf(layer)};
    return;
  }
}

absl::Status Replayer::TakeConfig(const v1::RecordedConfig& event) {
  EVENKEEL_ASSIGN_OR_RETURN(job::ConfigTimeline timeline, job::ConfigTimeline::FromProto(plan_, event.changes()));
  timeline_ = std::move(timeline);
  state_->halt.reset();
  if (event.has_halt()) state_->halt = event.halt();
  notes_.push_back({Note::Kind::kConfig, state_->version.step()});
  return absl::OkStatus();
}

}  // namespace evenkeel::recorder
