#include "server/recorder/events.h"

#include <algorithm>

#include "absl/types/span.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::recorder {
namespace {

template <typename From, typename To>
void Append(const From& from, To* to) {
  to->Add(from.begin(), from.end());
}

bool AnyLayer(const v1::JobState& state, v1::UpdateReason::Kind reason) {
  return std::any_of(state.layers().begin(), state.layers().end(),
                     [reason](const v1::LayerState& layer) { return layer.last_reason() == reason; });
}

}  // namespace

v1::RecordedState RecordedStateOf(v1::RecordedState::Cause cause, const WholeState& state) {
  v1::RecordedState event;
  event.set_cause(cause);
  *event.mutable_state() = *state.newest;
  for (const StatePtr& earlier : state.earlier) *event.add_earlier() = *earlier;
  return event;
}

v1::RecordedCommit RecordedCommitOf(const core::RoutedStep& routed, const v1::JobState& state) {
  v1::RecordedCommit event;
  *event.mutable_version() = state.version();
  const v1::CommitRecord& commit = state.last_commit();
  event.set_ok(commit.ok());
  event.set_replayed(AnyLayer(state, v1::UpdateReason::REPLAYED));
  *event.mutable_routed_with() = routed.routed_with;
  event.set_stale(routed.stale);
  *event.mutable_participants() = commit.participants();
  event.set_staleness(commit.staleness());
  *event.mutable_stale_versions() = commit.stale_versions();
  for (const v1::LayerState& layer : state.layers()) {
    Append(layer.last_counts(), event.mutable_counts());
    event.add_tokens(layer.last_tokens());
    Append(layer.last_dispatched(), event.mutable_dispatched());
    event.add_reasons(layer.last_reason());
  }
  const std::vector<uint64_t> hashes = LayerHashes(state);
  Append(hashes, event.mutable_layer_hashes());
  event.set_state_hash(balance::CombineHashes(hashes));
  if (state.has_halt()) *event.mutable_halt() = state.halt();
  *event.mutable_violations() = state.violations();
  return event;
}

v1::RecordedConfig RecordedConfigOf(const v1::JobState& state) {
  v1::RecordedConfig event;
  *event.mutable_changes() = state.changes();
  if (state.has_halt()) *event.mutable_halt() = state.halt();
  return event;
}

bool DifferInConfigOnly(const v1::JobState& before, const v1::JobState& after) {
  v1::JobState other = after;
  *other.mutable_changes() = before.changes();
  other.clear_halt();
  if (before.has_halt()) *other.mutable_halt() = before.halt();
  return other.SerializeAsString() == before.SerializeAsString();
}

std::vector<uint64_t> LayerHashes(const v1::JobState& state) {
  std::vector<uint64_t> hashes;
  hashes.reserve(state.layers_size());
  for (const v1::LayerState& layer : state.layers()) {
    hashes.push_back(balance::HashBias(absl::MakeConstSpan(layer.bias().data(), layer.bias_size())));
  }
  return hashes;
}

}  // namespace evenkeel::recorder
