#include "client/worker/host_workspace.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/status_macros.h"
#include "client/source/rank_checks.h"
#include "client/worker/route_arguments.h"
#include "kernels/routing/cpu/cpu_backward.h"
#include "kernels/routing/cpu/cpu_router.h"

namespace evenkeel::client {

HostWorkspace::HostWorkspace(const LayerTable* layers, int place, int ranks)
    : layers_(*layers),
      place_(place),
      bias_(layers_.total_experts()),
      pool_([shape = layers_.shape(ranks)] { return std::make_unique<StepCounts>(shape); }) {
  counts_.reserve(layers_.size());
  for (int i = 0; i < layers_.size(); ++i) counts_.emplace_back(layers_[i].num_experts, layers_[i].top_k);
}

absl::Status HostWorkspace::Adopt(const v1::CommittedVersion& version) {
  std::copy(version.bias().begin(), version.bias().end(), bias_.begin());
  return absl::OkStatus();
}

absl::Status HostWorkspace::BeginStep(uint64_t, const v1::CommittedVersion* version) {
  if (version != nullptr) EVENKEEL_RETURN_IF_ERROR(Adopt(*version));
  for (LayerCounts& counts : counts_) counts.Clear();
  return absl::OkStatus();
}

absl::Status HostWorkspace::Leave(const v1::CommittedVersion* version, Deadline) {
  return version != nullptr ? Adopt(*version) : absl::OkStatus();
}

absl::Status HostWorkspace::Route(int index, const Tokens& tokens, const Assignments& assignments, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  LayerCounts& counted = counts_[index];
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layer, counted.CheckRoom(std::max<int64_t>(tokens.rows, 0))));
  uint64_t* const into = counts ? counted.mutable_counts() : nullptr;
  routing::RouteStats stats;
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layer, routing::RouteCpu(*spec, InputOf(*spec, tokens, bias(index)),
                                                            OutputOf(*spec, assignments, into), &stats)));
  if (counts) counted.AddRouted(stats.valid_rows, stats.short_slots);
  return absl::OkStatus();
}

absl::Status HostWorkspace::RouteBackward(int index, const Tokens& tokens, const Gradients& gradients) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  return AtLayer(layer, routing::RouteBackwardCpu(*spec, BackwardInputOf(*spec, tokens, gradients),
                                                  BackwardOutputOf(*spec, gradients)));
}

absl::Status HostWorkspace::Count(int layer, const Ids& ids, bool counts) {
  return AtLayer(layers_[layer], counts ? counts_[layer].AddIds(ids) : counts_[layer].CheckIds(ids));
}

absl::Status HostWorkspace::AddCounts(int layer, const Counts& given, bool counts) {
  LayerCounts& counted = counts_[layer];
  return AtLayer(layers_[layer], counts ? counted.AddCounts(given.counts, given.valid_tokens, given.short_slots)
                                        : counted.CheckCounts(given.counts, given.valid_tokens, given.short_slots));
}

absl::Status HostWorkspace::BeginCapture() {
  before_capture_ = counts_;
  return absl::OkStatus();
}

absl::Status HostWorkspace::EndCapture() {
  counts_ = before_capture_;
  return absl::OkStatus();
}

absl::StatusOr<StepCountsPtr> HostWorkspace::Commit(uint64_t step, const StepEnd& end) {
  StepCountsPtr counts = pool_.Take();
  EVENKEEL_CHECK(counts != nullptr);
  // The checks of the other ranks, which were added up.
  std::fill(counts->sums().begin(), counts->sums().end(), 0);
  counts->step = step;
  counts->set_skips(end.ok ? 0 : 1);
  counts->set_replays(end.replayed ? 1 : 0);
  CopyCounts(layers_, counts_, counts.get());
  WriteCheck(place_, bias_, counts.get());
  return counts;
}

absl::Status HostWorkspace::SetStream(void*) {
  return absl::FailedPreconditionError("SetStream: this worker has no device, as its options say");
}

void CopyCounts(const LayerTable& layers, const std::vector<LayerCounts>& counts, StepCounts* step) {
  for (const int index : layers.protocol_order()) {
    const LayerTable::Layer& layer = layers[index];
    std::copy(counts[index].counts().begin(), counts[index].counts().end(),
              step->mutable_counts().begin() + layer.offset);
    step->mutable_totals()[layer.place] = {counts[index].tokens(), counts[index].short_slots(), /*refused=*/0};
  }
}

}  // namespace evenkeel::client
