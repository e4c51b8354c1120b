#include "tests/gpu_check/worker/reference_workspace.h"

#include <algorithm>
#include <memory>

#include "base/status_macros.h"
#include "client/source/rank_checks.h"
#include "client/worker/route_arguments.h"
#include "kernels/counting/reference_count.h"
#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/reference/reference_router.h"

namespace evenkeel::gpu_check {

using client::StepCounts;

ReferenceWorkspace::ReferenceWorkspace(const client::LayerTable* layers)
    : layers_(*layers),
      bias_(layers_.total_experts()),
      pool_([shape = layers_.shape()] { return std::make_unique<StepCounts>(shape); }) {}

absl::Status ReferenceWorkspace::Adopt(const v1::CommittedVersion& version) {
  std::copy(version.bias().begin(), version.bias().end(), bias_.begin());
  return absl::OkStatus();
}

absl::Status ReferenceWorkspace::Leave(const v1::CommittedVersion* version, client::Deadline) {
  return version != nullptr ? Adopt(*version) : absl::OkStatus();
}

absl::Status ReferenceWorkspace::BeginStep(uint64_t, const v1::CommittedVersion* version) {
  if (version != nullptr) EVENKEEL_RETURN_IF_ERROR(Adopt(*version));
  counts_ = pool_.Take();
  std::fill(counts_->sums().begin(), counts_->sums().end(), 0);
  return absl::OkStatus();
}

absl::Status ReferenceWorkspace::Route(int index, const Tokens& tokens, const Assignments& assignments, bool counts) {
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layers_[index]));
  const counting::CountOutput output = counts ? OutputFor(index, tokens.stream) : counting::CountOutput();
  const float* const bias = &bias_[OffsetOf(layers_[index], tokens.stream)];
  routing::RouteStats stats;
  EVENKEEL_RETURN_IF_ERROR(routing::RouteReference(*spec, client::InputOf(*spec, tokens, bias),
                                                   client::OutputOf(*spec, assignments, output.counts), &stats));
  if (!counts) return absl::OkStatus();
  output.stats->valid_rows += stats.valid_rows;
  output.stats->short_slots += stats.short_slots;
  return absl::OkStatus();
}

absl::Status ReferenceWorkspace::RouteBackward(int index, const Tokens& tokens, const Gradients& gradients) {
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layers_[index]));
  return routing::RouteBackwardReference(*spec, client::BackwardInputOf(*spec, tokens, gradients),
                                         client::BackwardOutputOf(*spec, gradients));
}

absl::Status ReferenceWorkspace::Count(int index, const Ids& ids, bool counts) {
  const client::LayerTable::Layer& layer = layers_[index];
  if (!counts) return absl::OkStatus();
  return counting::ReferenceCountIds(client::IdsInputOf(layer.num_experts, layer.top_k, ids),
                                     OutputFor(index, ids.stream));
}

absl::Status ReferenceWorkspace::AddCounts(int index, const Counts& given, bool counts) {
  const client::LayerTable::Layer& layer = layers_[index];
  if (!counts) return absl::OkStatus();
  return counting::ReferenceAddCounts(client::CountsInputOf(layer.num_experts, layer.top_k, given),
                                      OutputFor(index, given.stream));
}

absl::Status ReferenceWorkspace::CountDispatched(int index, const Ids& ids, bool counts) {
  const client::LayerTable::Layer& layer = layers_[index];
  if (!counts) return absl::OkStatus();
  return counting::ReferenceCountIds(client::IdsInputOf(layer.num_experts, layer.top_k, ids),
                                     DispatchedOutputFor(index, ids.stream));
}

absl::Status ReferenceWorkspace::AddDispatched(int index, const Counts& given, bool counts) {
  const client::LayerTable::Layer& layer = layers_[index];
  if (!counts) return absl::OkStatus();
  counting::CountsInput input = client::CountsInputOf(layer.num_experts, layer.top_k, given);
  input.any_sum = true;
  return counting::ReferenceAddCounts(input, DispatchedOutputFor(index, given.stream));
}

counting::CountOutput ReferenceWorkspace::OutputFor(int index, int stream) {
  const client::LayerTable::Layer& layer = layers_[index];
  StepCounts::Totals& totals = counts_->mutable_totals()[layer.first_row + stream];
  return {counts_->mutable_counts().data() + OffsetOf(layer, stream), reinterpret_cast<routing::RouteStats*>(&totals),
          &totals.refused};
}

counting::CountOutput ReferenceWorkspace::DispatchedOutputFor(int index, int stream) {
  const client::LayerTable::Layer& layer = layers_[index];
  uint64_t* const dispatched = counts_->mutable_dispatched().data() + layer.dispatched_offset;
  return {dispatched + stream * layer.num_experts, &aside_,
          &counts_->mutable_totals()[layer.first_row + stream].refused};
}

absl::Status ReferenceWorkspace::BeginCapture() {
  before_capture_.assign(counts_->sums().begin(), counts_->sums().end());
  return absl::OkStatus();
}

absl::Status ReferenceWorkspace::EndCapture() {
  std::copy(before_capture_.begin(), before_capture_.end(), counts_->sums().begin());
  return absl::OkStatus();
}

absl::StatusOr<client::StepCountsPtr> ReferenceWorkspace::Commit(uint64_t step, const client::StepEnd& end) {
  counts_->step = step;
  counts_->set_skips(end.ok ? 0 : 1);
  counts_->set_replays(end.replayed ? 1 : 0);
  client::WriteCheck(/*place=*/0, bias_, counts_.get());
  return std::move(counts_);
}

}  // namespace evenkeel::gpu_check
