#include "client/source/continuation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/balance/update.h"

namespace evenkeel::client {
namespace {

job::JobState StateOf(const job::JobPlan& plan, const v1::CommittedVersion& version) {
  job::JobState state = job::InitialJobState(plan);
  state.version = version.version();
  state.position = version.version().step();
  if (version.bias().empty()) return state;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const job::LayerTable::Row& row = plan.layers[i];
    const float* bias = version.bias().data() + row.offset;
    state.layers[i].balance.bias.assign(bias, bias + row.num_experts);
  }
  return state;
}

}  // namespace

Continuation::Continuation(job::JobPlan plan, job::JobState state)
    : plan_(std::move(plan)), state_(std::move(state)), sums_(plan_.layers) {}

Continuation::Continuation(job::JobPlan plan, const v1::CommittedVersion& from)
    : plan_(std::move(plan)), state_(StateOf(plan_, from)), sums_(plan_.layers) {}

// What is kept since a layer's last update may not outgrow what an update can hold.
absl::Status Continuation::CheckSums() const {
  for (int i = 0; i < plan_.layers.size(); ++i) {
    const job::LayerTable::Row& row = plan_.layers[i];
    const unsigned __int128 tokens = static_cast<unsigned __int128>(state_.layers[i].balance.tokens) + sums_.tokens[i];
    if (tokens * row.top_k <= balance::kMaxCountSum) continue;
    return absl::OutOfRangeError(absl::StrCat(Quoted(row), ": ", sums_.tokens[i],
                                              " more tokens make more than an update can hold (2^48 assignments)"));
  }
  return absl::OkStatus();
}

// A capacity limit drops assignments; it makes none.
absl::Status Continuation::CheckDispatched(uint64_t step) const {
  for (const job::LayerTable::Row& row : plan_.layers.rows()) {
    if (row.dispatched_offset < 0) continue;
    for (int expert = 0; expert < row.num_experts; ++expert) {
      const uint64_t routed = sums_.counts[row.offset + expert];
      const uint64_t dispatched = sums_.dispatched[row.dispatched_offset + expert];
      if (dispatched <= routed) continue;
      return absl::InvalidArgumentError(absl::StrCat(Quoted(row), ", expert ", expert, ": in step ", step, " ",
                                                     dispatched, " assignments were dispatched, more than the ", routed,
                                                     " that were routed to it"));
    }
  }
  return absl::OkStatus();
}

absl::Status Continuation::Advance(const StepCounts& counts) {
  EVENKEEL_RETURN_IF_ERROR(CheckRefused(plan_.layers, counts));
  sums_.counts.assign(counts.counts().begin(), counts.counts().end());
  for (int i = 0; i < plan_.layers.size(); ++i) sums_.tokens[i] = counts.totals()[i].tokens;
  sums_.dispatched.assign(counts.dispatched().begin(), counts.dispatched().end());
  EVENKEEL_RETURN_IF_ERROR(CheckSums());
  EVENKEEL_RETURN_IF_ERROR(CheckDispatched(counts.step));
  job::CommitInputs inputs;
  inputs.version.set_epoch(state_.version.epoch());
  inputs.version.set_step(counts.step);
  inputs.ok = counts.skips() == 0;
  inputs.replayed = counts.replays() > 0;
  inputs.participants = {0};
  job::CommitStep(plan_, inputs, sums_, &state_);
  return absl::OkStatus();
}

absl::Status CheckRefused(const job::LayerTable& layers, const StepCounts& counts) {
  for (int i = 0; i < layers.size(); ++i) {
    const uint64_t refused = counts.totals()[i].refused;
    if (refused == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(layers[i]), ": in step ", counts.step, " ", refused,
                     " rows or count arrays of a device were refused: an id was outside of -1 .. ",
                     layers[i].num_experts - 1, " or twice in its row, or counts did not add up"));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::client
