#include "client/worker/worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/reduce/groups.h"
#include "client/worker/messages.h"
#include "client/worker/process.h"
#include "client/worker/source_factory.h"
#include "client/worker/summary.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/route.h"

namespace evenkeel::client {
namespace {

// Far ahead, but not so far that the clock overflows.
constexpr std::chrono::hours kLongestWait(24 * 365);

Deadline After(std::chrono::milliseconds wait) {
  return std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(wait, kLongestWait);
}

absl::Status AtLayer(const LayerTable::Layer& layer, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(Quoted(layer), ": ", status.message()));
}

}  // namespace

Worker::Worker(const WorkerOptions& options, LayerTable layers, std::unique_ptr<BiasSource> source)
    : patience_(options.begin_step_timeout),
      layers_(std::move(layers)),
      first_step_(options.next_step),
      order_(options.next_step),
      bias_(layers_.total_experts()),
      pool_([experts = layers_.total_experts(), size = layers_.size()] {
        return std::make_unique<StepCounts>(experts, size);
      }),
      source_(std::move(source)) {
  counts_.reserve(layers_.size());
  for (int i = 0; i < layers_.size(); ++i) counts_.emplace_back(layers_[i].num_experts, layers_[i].top_k);
  report_.max_violation.resize(layers_.size());
}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Join(const WorkerOptions& options) {
  EVENKEEL_ASSIGN_OR_RETURN(LayerTable layers, LayerTable::Make(options.layers));
  EVENKEEL_ASSIGN_OR_RETURN(const Group group, GroupOf(options.group, options.rank, options.world_size));
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JoinRequest join, MakeJoinRequest(options, group, layers, NewIncarnation()));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<BiasSource> source, MakeBiasSource(options, group, join));
  std::unique_ptr<Worker> worker(new Worker(options, std::move(layers), std::move(source)));
  v1::JoinResponse joined;
  EVENKEEL_RETURN_IF_ERROR(worker->source_->Join(options.next_step, After(options.join_timeout), &joined));
  worker->summary_ = Summary(options, group, worker->layers_, joined.effective());
  worker->lag_ = joined.effective().lag();
  worker->version_.Swap(joined.has_previous() ? joined.mutable_previous() : joined.mutable_version());
  worker->first_version_ = worker->version_.version().step();
  worker->Adopt();
  worker->Report(options.next_step);
  return worker;
}

absl::Status Worker::BeginStep(uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckBegin(step));
  if (step != first_step_) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool is_new, source_->Await(step, After(patience_), &version_));
    if (is_new) Adopt();
    Report(step);
  }
  for (LayerCounts& counts : counts_) counts.Clear();
  order_.Begin();
  return absl::OkStatus();
}

absl::Status Worker::CheckCounting(absl::string_view call, int layer) const {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCounting(call));
  if (layer < 0 || layer >= layers_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(call, ": layer is ", layer, "; 0 to ", layers_.size() - 1, " are allowed"));
  }
  if (layers_[layer].owned) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call, ": ", Quoted(layers_[layer]), " is not owned by this worker, as its options say"));
}

absl::Status Worker::Route(int index, const Tokens& tokens, const Assignments& assignments) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("Route", index));
  const LayerTable::Layer& layer = layers_[index];
  if (!layer.route.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(layer), " was joined without a route; count what the trainer routes, with Count"));
  }
  LayerCounts& counts = counts_[index];
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layer, counts.CheckRoom(std::max<int64_t>(tokens.rows, 0))));

  routing::RouteInput input;
  input.logits = tokens.logits;
  input.rows = tokens.rows;
  input.logits_stride = tokens.logits_stride == 0 ? layer.num_experts : tokens.logits_stride;
  input.bias = bias(index);
  input.valid_mask = tokens.valid_mask;
  routing::RouteOutput output;
  output.ids = assignments.ids;
  output.ids_stride = layer.top_k;
  output.weights = assignments.weights;
  output.weights_stride = layer.top_k;
  output.counts = counts.mutable_counts();
  routing::RouteStats stats;
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layer, routing::RouteCpu(*layer.route, input, output, &stats)));
  counts.AddRouted(stats.valid_rows, stats.short_slots);
  return absl::OkStatus();
}

absl::Status Worker::Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("Count", layer));
  return AtLayer(layers_[layer], counts_[layer].AddIds(ids, rows, valid_mask));
}

absl::Status Worker::AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("AddCounts", layer));
  return AtLayer(layers_[layer], counts_[layer].AddCounts(counts, valid_tokens, short_slots));
}

absl::Status Worker::Commit(uint64_t step, bool ok) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCommit(step));
  StepCountsPtr counts = pool_.Take();
  counts->step = step;
  counts->set_skips(ok ? 0 : 1);
  CopyCounts(layers_, counts_, counts.get());
  source_->Push(std::move(counts));
  order_.Commit();
  return absl::OkStatus();
}

absl::Status Worker::Leave() {
  if (order_.left()) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_new, source_->Leave(After(patience_), &version_));
  if (is_new) Adopt();
  Report(report_.step + 1);
  order_.Leave();
  return absl::OkStatus();
}

void Worker::Adopt() {
  std::copy(version_.bias().begin(), version_.bias().end(), bias_.begin());
  report_.epoch = version_.version().epoch();
  report_.step = version_.version().step();
  report_.ok = version_.ok();
  report_.bias_hash = version_.state_hash();
  report_.tokens = version_.tokens();
  for (int i = 0; i < layers_.size(); ++i) report_.max_violation[i] = version_.max_violation(layers_[i].place);
}

void Worker::Report(uint64_t step) {
  const uint64_t due = DueVersion(step, lag_, first_version_);
  report_.staleness = due > report_.step ? due - report_.step : 0;
  const BiasSource::Backlog backlog = source_->backlog();
  report_.undelivered_steps = backlog.undelivered;
  report_.lost_steps = backlog.lost;
}

}  // namespace evenkeel::client
