#include "evenkeel/worker.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/link/link.h"
#include "client/worker/counting.h"
#include "client/worker/layer_table.h"
#include "client/worker/messages.h"
#include "client/worker/process.h"
#include "client/worker/public_status.h"
#include "client/worker/step_order.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/route.h"

namespace evenkeel {
namespace {

using client::Deadline;
using client::LayerCounts;
using client::LayerTable;
using client::Link;
using client::StepOrder;

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

class Worker::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Join(const WorkerOptions& options);

  absl::Status BeginStep(uint64_t step);
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments);
  absl::Status Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask);
  absl::Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots);
  absl::Status Commit(uint64_t step, bool ok);
  absl::Status Leave();

  const float* bias(int layer) const {
    return layer >= 0 && layer < layers_.size() ? &bias_[layers_[layer].offset] : nullptr;
  }
  const StepReport& report() const { return report_; }

 private:
  Impl(const WorkerOptions& options, LayerTable layers, const v1::JoinRequest& join);

  // That `call` may count at `layer` now.
  absl::Status CheckCounting(absl::string_view call, int layer) const;
  // Waits for the version of the last commit, if there is one under way, and makes it the current one.
  absl::Status Settle(Deadline deadline);
  // Makes version_ the current one.
  void Adopt();

  const std::chrono::milliseconds patience_;
  const LayerTable layers_;
  StepOrder order_;
  std::vector<LayerCounts> counts_;  // by the caller's index
  std::vector<float> bias_;          // [total experts], in protocol order
  StepReport report_;

  // Kept from step to step for their memory.
  v1::PushRequest push_;
  v1::CommittedVersion version_;

  // True from a commit to the adoption of its version. The link holds push_ then.
  bool awaited_ = false;
  // The last member, for its thread reads push_.
  Link link_;
};

Worker::Impl::Impl(const WorkerOptions& options, LayerTable layers, const v1::JoinRequest& join)
    : patience_(options.begin_step_timeout),
      layers_(std::move(layers)),
      order_(options.next_step),
      bias_(layers_.total_experts()),
      push_(client::MakePushRequest(join)),
      link_(options.coordinator, join) {
  counts_.reserve(layers_.size());
  for (int i = 0; i < layers_.size(); ++i) counts_.emplace_back(layers_[i].num_experts, layers_[i].top_k);
  report_.max_violation.resize(layers_.size());
}

absl::StatusOr<std::unique_ptr<Worker::Impl>> Worker::Impl::Join(const WorkerOptions& options) {
  EVENKEEL_ASSIGN_OR_RETURN(LayerTable layers, LayerTable::Make(options.layers));
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JoinRequest join,
                            client::MakeJoinRequest(options, layers, client::NewIncarnation()));
  std::unique_ptr<Impl> impl(new Impl(options, std::move(layers), join));
  EVENKEEL_RETURN_IF_ERROR(impl->link_.Join(options.next_step, After(options.join_timeout), &impl->version_));
  impl->Adopt();
  return impl;
}

absl::Status Worker::Impl::BeginStep(uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckBegin(step));
  EVENKEEL_RETURN_IF_ERROR(Settle(After(patience_)));
  for (LayerCounts& counts : counts_) counts.Clear();
  order_.Begin();
  return absl::OkStatus();
}

absl::Status Worker::Impl::CheckCounting(absl::string_view call, int layer) const {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCounting(call));
  if (layer >= 0 && layer < layers_.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(call, ": layer is ", layer, "; 0 to ", layers_.size() - 1, " are allowed"));
}

absl::Status Worker::Impl::Route(int index, const Tokens& tokens, const Assignments& assignments) {
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

absl::Status Worker::Impl::Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("Count", layer));
  return AtLayer(layers_[layer], counts_[layer].AddIds(ids, rows, valid_mask));
}

absl::Status Worker::Impl::AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("AddCounts", layer));
  return AtLayer(layers_[layer], counts_[layer].AddCounts(counts, valid_tokens, short_slots));
}

absl::Status Worker::Impl::Commit(uint64_t step, bool ok) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCommit(step));
  push_.set_step(step);
  push_.set_ok(ok);
  push_.mutable_routed_with()->set_epoch(report_.epoch);
  push_.mutable_routed_with()->set_step(report_.step);
  client::FillCounts(layers_, counts_, &push_);
  link_.Push(&push_);
  awaited_ = true;
  order_.Commit();
  return absl::OkStatus();
}

absl::Status Worker::Impl::Leave() {
  if (order_.left()) return absl::OkStatus();
  const Deadline deadline = After(patience_);
  EVENKEEL_RETURN_IF_ERROR(Settle(deadline));
  EVENKEEL_RETURN_IF_ERROR(link_.Leave(deadline));
  order_.Leave();
  return absl::OkStatus();
}

absl::Status Worker::Impl::Settle(Deadline deadline) {
  if (!awaited_) return absl::OkStatus();
  EVENKEEL_RETURN_IF_ERROR(link_.Await(deadline, &version_));
  awaited_ = false;
  Adopt();
  return absl::OkStatus();
}

void Worker::Impl::Adopt() {
  std::copy(version_.bias().begin(), version_.bias().end(), bias_.begin());
  report_.epoch = version_.version().epoch();
  report_.step = version_.version().step();
  report_.ok = version_.ok();
  report_.bias_hash = version_.state_hash();
  report_.tokens = version_.tokens();
  for (int i = 0; i < layers_.size(); ++i) report_.max_violation[i] = version_.max_violation(layers_[i].place);
}

// ---------------------------------------------------------------------------------------------------------------------

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::~Worker() = default;

Result<std::unique_ptr<Worker>> Worker::Join(const WorkerOptions& options) {
  absl::StatusOr<std::unique_ptr<Impl>> impl = Impl::Join(options);
  if (!impl.ok()) return client::PublicStatus(impl.status());
  return std::unique_ptr<Worker>(new Worker(*std::move(impl)));
}

Status Worker::BeginStep(uint64_t step) { return client::PublicStatus(impl_->BeginStep(step)); }

Status Worker::Route(int layer, const Tokens& tokens, const Assignments& assignments) {
  return client::PublicStatus(impl_->Route(layer, tokens, assignments));
}

Status Worker::Count(int layer, const int32_t* ids, int64_t rows, const uint8_t* valid_mask) {
  return client::PublicStatus(impl_->Count(layer, ids, rows, valid_mask));
}

Status Worker::AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots) {
  return client::PublicStatus(impl_->AddCounts(layer, counts, valid_tokens, short_slots));
}

Status Worker::Commit(uint64_t step, bool ok) { return client::PublicStatus(impl_->Commit(step, ok)); }

const float* Worker::bias(int layer) const { return impl_->bias(layer); }

const StepReport& Worker::report() const { return impl_->report(); }

Status Worker::Leave() { return client::PublicStatus(impl_->Leave()); }

}  // namespace evenkeel
