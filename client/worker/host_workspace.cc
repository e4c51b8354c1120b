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
  for (const int index : layers_.protocol_order()) {
    const LayerTable::Layer& layer = layers_[index];
    for (int stream = 0; stream < layer.streams; ++stream) {
      counts_.emplace_back(layer.num_experts, layer.top_k);
      dispatched_.emplace_back(layer.dispatched_offset < 0 ? 0 : layer.num_experts, layer.top_k);
    }
  }
}

absl::Status HostWorkspace::Adopt(const v1::CommittedVersion& version) {
  std::copy(version.bias().begin(), version.bias().end(), bias_.begin());
  return absl::OkStatus();
}

absl::Status HostWorkspace::BeginStep(uint64_t, const v1::CommittedVersion* version) {
  if (version != nullptr) EVENKEEL_RETURN_IF_ERROR(Adopt(*version));
  for (LayerCounts& counts : counts_) counts.Clear();
  for (LayerCounts& dispatched : dispatched_) dispatched.Clear();
  return absl::OkStatus();
}

absl::Status HostWorkspace::Leave(const v1::CommittedVersion* version, Deadline) {
  return version != nullptr ? Adopt(*version) : absl::OkStatus();
}

absl::Status HostWorkspace::Route(int index, const Tokens& tokens, const Assignments& assignments, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  LayerCounts& counted = counts_[layer.first_row + tokens.stream];
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layer, counted.CheckRoom(std::max<int64_t>(tokens.rows, 0))));
  const float* const bias = &bias_[OffsetOf(layer, tokens.stream)];
  uint64_t* const into = counts ? counted.mutable_counts() : nullptr;
  routing::RouteStats stats;
  EVENKEEL_RETURN_IF_ERROR(AtLayer(
      layer, routing::RouteCpu(*spec, InputOf(*spec, tokens, bias), OutputOf(*spec, assignments, into), &stats)));
  if (counts) counted.AddRouted(stats.valid_rows, stats.short_slots);
  return absl::OkStatus();
}

absl::Status HostWorkspace::RouteBackward(int index, const Tokens& tokens, const Gradients& gradients) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  return AtLayer(layer, routing::RouteBackwardCpu(*spec, BackwardInputOf(*spec, tokens, gradients),
                                                  BackwardOutputOf(*spec, gradients)));
}

absl::Status HostWorkspace::Count(int index, const Ids& ids, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  LayerCounts& row = counts_[layer.first_row + ids.stream];
  return AtLayer(layer, counts ? row.AddIds(ids) : row.CheckIds(ids));
}

absl::Status HostWorkspace::AddCounts(int index, const Counts& given, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  LayerCounts& row = counts_[layer.first_row + given.stream];
  return AtLayer(layer, counts ? row.AddCounts(given.counts, given.valid_tokens, given.short_slots)
                               : row.CheckCounts(given.counts, given.valid_tokens, given.short_slots));
}

absl::Status HostWorkspace::CountDispatched(int index, const Ids& ids, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  LayerCounts& row = dispatched_[layer.first_row + ids.stream];
  return AtLayer(layer, counts ? row.AddIds(ids) : row.CheckIds(ids));
}

absl::Status HostWorkspace::AddDispatched(int index, const Counts& given, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  LayerCounts& row = dispatched_[layer.first_row + given.stream];
  return AtLayer(layer, counts ? row.AddSums(given.counts) : row.CheckSums(given.counts));
}

absl::Status HostWorkspace::BeginCapture() {
  counts_before_capture_ = counts_;
  dispatched_before_capture_ = dispatched_;
  return absl::OkStatus();
}

absl::Status HostWorkspace::EndCapture() {
  counts_ = counts_before_capture_;
  dispatched_ = dispatched_before_capture_;
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
  CopyCounts(counts_, dispatched_, counts.get());
  WriteCheck(place_, bias_, counts.get());
  return counts;
}

absl::Status HostWorkspace::SetStream(void*) {
  return absl::FailedPreconditionError("SetStream: this worker has no device, as its options say");
}

void CopyCounts(const std::vector<LayerCounts>& counts, const std::vector<LayerCounts>& dispatched, StepCounts* step) {
  auto next = step->mutable_counts().begin();
  auto next_totals = step->mutable_totals().begin();
  for (const LayerCounts& row : counts) {
    next = std::copy(row.counts().begin(), row.counts().end(), next);
    *next_totals++ = {row.tokens(), row.short_slots(), /*refused=*/0};
  }
  auto next_dispatched = step->mutable_dispatched().begin();
  for (const LayerCounts& row : dispatched) {
    next_dispatched = std::copy(row.counts().begin(), row.counts().end(), next_dispatched);
  }
}

}  // namespace evenkeel::client
