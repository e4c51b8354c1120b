#include "job/move.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace evenkeel::job {
namespace {

bool Same(const v1::Version& a, const v1::Version& b) { return a.epoch() == b.epoch() && a.step() == b.step(); }

absl::Span<const uint64_t> CountsOf(const LayerTable::Row& row, const StepSums& sums) {
  return absl::MakeSpan(sums.counts).subspan(row.offset, row.num_experts);
}

}  // namespace

Move InitialMove(const JobPlan& plan, const JobState& initial) {
  return {v1::Version(), std::make_shared<const JobState>(initial), StepSums(plan.layers)};
}

uint64_t DueStep(const JobPlan& plan, uint64_t step, uint64_t first) {
  const uint64_t behind = 1 + plan.effective.lag();
  return std::max(step - std::min(step, behind), first);
}

void CommitRoutedStep(const JobPlan& plan, const CommitInputs& inputs, const v1::Version& routed_with, bool stale,
                      const StepSums& sums, JobState* state, Move* move) {
  HaltFor(plan, inputs.violations, inputs.version.step(), state);
  if (WhyUnmoved(plan, inputs, *state).has_value()) return CommitStep(plan, inputs, sums, state);
  if (stale && Same(routed_with, move->routed_with)) {
    move->sums.Add(sums);
  } else {
    *move = {routed_with, std::make_shared<const JobState>(*state), sums};
  }
  for (size_t i = 0; i < state->layers.size(); ++i) {
    state->layers[i].balance = move->base->layers[i].balance;
    state->layers[i].rule = move->base->layers[i].rule;
  }
  MoveLayers(plan, inputs, move->sums, state);
  RecordStep(plan, inputs, sums, state);
}

v1::Move ToProto(const JobPlan& plan, const JobState& state, const Move& move) {
  v1::Move message;
  *message.mutable_routed_with() = move.routed_with;
  message.set_base_step(move.base->version.step());
  for (int i = 0; i < plan.layers.size(); ++i) {
    v1::LayerSums* layer = message.add_layers();
    const absl::Span<const uint64_t> counts = CountsOf(plan.layers[i], move.sums);
    if (counts == state.layers[i].last_counts && move.sums.tokens[i] == state.layers[i].last_tokens) continue;
    layer->mutable_counts()->Add(counts.begin(), counts.end());
    layer->set_tokens(move.sums.tokens[i]);
  }
  return message;
}

absl::StatusOr<Move> MoveFromProto(const JobPlan& plan, const JobState& state, const v1::Move& message,
                                   std::shared_ptr<const JobState> base) {
  if (message.layers_size() != plan.layers.size()) {
    return absl::DataLossError(
        absl::StrCat("the move has ", message.layers_size(), " layers, the spec ", plan.layers.size()));
  }
  Move move = {message.routed_with(), std::move(base), StepSums(plan.layers)};
  for (int i = 0; i < plan.layers.size(); ++i) {
    const v1::LayerSums& in = message.layers(i);
    const bool of_last_commit = in.counts().empty();
    if (!of_last_commit && in.counts_size() != plan.layers[i].num_experts) {
      return absl::DataLossError(absl::StrCat("the move of ", Quoted(plan.layers[i]), " has ", in.counts_size(),
                                              " counts for ", plan.layers[i].num_experts, " experts"));
    }
    uint64_t* counts = &move.sums.counts[plan.layers[i].offset];
    if (of_last_commit) {
      std::copy(state.layers[i].last_counts.begin(), state.layers[i].last_counts.end(), counts);
    } else {
      std::copy(in.counts().begin(), in.counts().end(), counts);
    }
    move.sums.tokens[i] = of_last_commit ? state.layers[i].last_tokens : in.tokens();
  }
  return move;
}

}  // namespace evenkeel::job
