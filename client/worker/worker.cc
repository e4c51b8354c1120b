#include "client/worker/worker.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/link/state_reader.h"
#include "client/reduce/groups.h"
#include "client/worker/bias_frame.h"
#include "client/worker/device_workspace.h"
#include "client/worker/host_workspace.h"
#include "client/worker/messages.h"
#include "client/worker/process.h"
#include "client/worker/source_factory.h"
#include "client/worker/summary.h"
#include "job/job_plan.h"

namespace evenkeel::client {
namespace {

// Far ahead, but not so far that the clock overflows.
constexpr std::chrono::hours kLongestWait(24 * 365);

Deadline After(std::chrono::milliseconds wait) {
  return std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(wait, kLongestWait);
}

absl::StatusOr<std::unique_ptr<Workspace>> MakeWorkspace(DeviceWorkspaceOptions options, const LayerTable* layers,
                                                         const v1::JoinResponse& joined, DeviceRuntime* runtime) {
  if (runtime == nullptr) return std::make_unique<HostWorkspace>(layers, options.place, options.ranks);
  if (options.versions != DeviceWorkspaceOptions::Versions::kMade) {
    return DeviceWorkspace::Make(std::move(options), layers, /*plan=*/nullptr, runtime);
  }
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanStoredJob(joined.effective(), /*fingerprint=*/0));
  options.first_bias.assign(joined.version().bias().begin(), joined.version().bias().end());
  return DeviceWorkspace::Make(std::move(options), layers, &plan, runtime);
}

}  // namespace

Worker::Worker(const WorkerOptions& options, LayerTable layers)
    : patience_(options.begin_step_timeout),
      on_commit_(options.on_commit),
      coordinator_(options.coordinator),
      job_(options.job),
      first_step_(options.next_step),
      layers_(std::move(layers)),
      order_(options.next_step),
      micro_batches_(2 * layers_.total_rows()) {
  report_.max_violation.resize(layers_.size());
}

Worker::~Worker() {
  if (workspace_ != nullptr) workspace_->Stop();
}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Join(const WorkerOptions& options, MakeRuntime make_runtime) {
  EVENKEEL_ASSIGN_OR_RETURN(LayerTable layers, LayerTable::Make(options.layers));
  EVENKEEL_ASSIGN_OR_RETURN(const Group group, GroupOf(options.group, options.rank, options.world_size));
  auto worker = absl::WrapUnique(new Worker(options, std::move(layers)));
  if (options.device >= 0) {
    EVENKEEL_ASSIGN_OR_RETURN(worker->runtime_, make_runtime(options.device));
  }
  DeviceRuntime* const runtime = worker->runtime_.get();
  EVENKEEL_ASSIGN_OR_RETURN(const v1::JoinRequest join,
                            MakeJoinRequest(options, group, worker->layers_, NewIncarnation(), runtime));
  EVENKEEL_ASSIGN_OR_RETURN(WorkerSource made, MakeWorkerSource(options, group, join, runtime));
  worker->nccl_ = std::move(made.nccl);
  worker->source_ = std::move(made.source);
  worker->makes_versions_ = runtime != nullptr && made.device.versions == DeviceWorkspaceOptions::Versions::kMade;

  v1::JoinResponse joined;
  EVENKEEL_RETURN_IF_ERROR(worker->source_->Join(options.next_step, After(options.join_timeout), &joined));
  EVENKEEL_ASSIGN_OR_RETURN(worker->workspace_,
                            MakeWorkspace(std::move(made.device), &worker->layers_, joined, runtime));
  worker->lag_ = joined.effective().lag();
  worker->summary_ = absl::StrCat(Summary(options, group, worker->layers_, joined.effective()), StateWarning(join));
  if (join.catch_up()) worker->first_step_ = joined.open_step();
  worker->version_.Swap(joined.has_previous() ? joined.mutable_previous() : joined.mutable_version());
  worker->first_version_ = worker->version_.version().step();
  EVENKEEL_RETURN_IF_ERROR(worker->workspace_->Adopt(worker->version_));
  worker->Adopt();
  return worker;
}

absl::Status Worker::BeginStep(uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckBegin(step));
  if (order_.counting() == Counting::kDryRun) return BeginDryRun(step);
  bool is_new = false;
  if (step > first_step_) {
    EVENKEEL_ASSIGN_OR_RETURN(is_new, Given(step, source_->Await(step, After(patience_), &version_)));
  }
  EVENKEEL_RETURN_IF_ERROR(workspace_->BeginStep(step, is_new ? &version_ : nullptr));
  if (is_new) Adopt();
  EVENKEEL_RETURN_IF_ERROR(Report(step));
  micro_batches_.Clear();
  order_.Begin();
  return absl::OkStatus();
}

// Whatever version is due, the one that is current routes: nobody has been asked for another.
absl::Status Worker::BeginDryRun(uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(workspace_->BeginDryRun(step));
  micro_batches_.Clear();
  order_.Begin();
  return absl::OkStatus();
}

absl::StatusOr<bool> Worker::Given(uint64_t step, absl::StatusOr<bool> is_new) {
  if (!is_new.ok() && !absl::IsDeadlineExceeded(is_new.status())) workspace_->Fail(step, is_new.status());
  return is_new;
}

absl::Status Worker::CheckRow(absl::string_view call, int layer, int stream) const {
  if (layer < 0 || layer >= layers_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(call, ": layer is ", layer, "; 0 to ", layers_.size() - 1, " are allowed"));
  }
  const LayerTable::Layer& known = layers_[layer];
  if (stream < 0 || stream >= known.streams) {
    return absl::InvalidArgumentError(
        absl::StrCat(call, ": ", Quoted(known), ": stream is ", stream, "; 0 to ", known.streams - 1, " are allowed"));
  }
  if (known.owned) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call, ": ", Quoted(known), " is not owned by this worker, as its options say"));
}

absl::Status Worker::CheckCounting(absl::string_view call, int layer, int stream) const {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCounting(call));
  return CheckRow(call, layer, stream);
}

absl::Status Worker::CheckReplay(const Tokens& tokens) const {
  const bool replays = order_.counting() == Counting::kReplay;
  if (replays && tokens.replay_ids == nullptr && tokens.rows > 0) {
    return absl::InvalidArgumentError(
        "Route: replay_ids is null; with Counting::kReplay they are the experts of the tokens, and needed");
  }
  if (replays || tokens.replay_ids == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError("Route: replay_ids are given; that is for Counting::kReplay only");
}

template <typename Call>
absl::Status Worker::CountOnce(int layer, int row, int64_t micro_batch, Call call) {
  EVENKEEL_RETURN_IF_ERROR(AtLayer(layers_[layer], MicroBatches::Check(micro_batch)));
  const bool counts = order_.counting() != Counting::kEvaluate && !micro_batches_.Contains(row, micro_batch);
  EVENKEEL_RETURN_IF_ERROR(call(counts));
  if (counts) micro_batches_.Insert(row, micro_batch);
  return absl::OkStatus();
}

absl::Status Worker::CheckDispatching(absl::string_view call, int layer, int stream) const {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting(call, layer, stream));
  if (layers_[layer].dispatched_offset >= 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call, ": ", Quoted(layers_[layer]), " was joined without counts_dispatched"));
}

const float* Worker::bias(int layer, int stream) const {
  if (layer < 0 || layer >= layers_.size() || stream < 0 || stream >= layers_[layer].streams) return nullptr;
  return workspace_->bias(layer) + stream * layers_[layer].num_experts;
}

absl::Status Worker::Route(int layer, const Tokens& tokens, const Assignments& assignments) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("Route", layer, tokens.stream));
  EVENKEEL_RETURN_IF_ERROR(CheckReplay(tokens));
  return CountOnce(layer, RoutedRow(layer, tokens.stream), tokens.micro_batch,
                   [&](bool counts) { return workspace_->Route(layer, tokens, assignments, counts); });
}

absl::Status Worker::RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) {
  EVENKEEL_RETURN_IF_ERROR(CheckRow("RouteBackward", layer, /*stream=*/0));
  return workspace_->RouteBackward(layer, tokens, gradients);
}

absl::Status Worker::Count(int layer, const Ids& ids) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("Count", layer, ids.stream));
  return CountOnce(layer, RoutedRow(layer, ids.stream), ids.micro_batch,
                   [&](bool counts) { return workspace_->Count(layer, ids, counts); });
}

absl::Status Worker::AddCounts(int layer, const Counts& counts) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounting("AddCounts", layer, counts.stream));
  return CountOnce(layer, RoutedRow(layer, counts.stream), counts.micro_batch,
                   [&](bool is_counted) { return workspace_->AddCounts(layer, counts, is_counted); });
}

absl::Status Worker::SetCounting(Counting counting) {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckSetCounting(counting));
  order_.SetCounting(counting);
  return absl::OkStatus();
}

absl::Status Worker::BeginCapture() {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckBeginCapture());
  EVENKEEL_RETURN_IF_ERROR(workspace_->BeginCapture());
  micro_batches_.SetAside();
  order_.SetCapturing(true);
  return absl::OkStatus();
}

absl::Status Worker::EndCapture() {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckEndCapture());
  EVENKEEL_RETURN_IF_ERROR(workspace_->EndCapture());
  micro_batches_.Restore();
  order_.SetCapturing(false);
  return absl::OkStatus();
}

absl::Status Worker::CountDispatched(int layer, const Ids& ids) {
  EVENKEEL_RETURN_IF_ERROR(CheckDispatching("CountDispatched", layer, ids.stream));
  return CountOnce(layer, DispatchedRow(layer, ids.stream), ids.micro_batch,
                   [&](bool counts) { return workspace_->CountDispatched(layer, ids, counts); });
}

absl::Status Worker::AddDispatched(int layer, const Counts& counts) {
  EVENKEEL_RETURN_IF_ERROR(CheckDispatching("AddDispatched", layer, counts.stream));
  return CountOnce(layer, DispatchedRow(layer, counts.stream), counts.micro_batch,
                   [&](bool is_counted) { return workspace_->AddDispatched(layer, counts, is_counted); });
}

absl::Status Worker::Commit(uint64_t step, bool ok) {
  const auto start = std::chrono::steady_clock::now();
  EVENKEEL_RETURN_IF_ERROR(order_.CheckCommit(step));
  if (order_.is_dry_run()) {
    EVENKEEL_RETURN_IF_ERROR(workspace_->EndDryRun());
  } else {
    EVENKEEL_ASSIGN_OR_RETURN(StepCountsPtr counts, workspace_->Commit(step, {ok, order_.is_replay()}));
    if (step >= first_step_) source_->Push(std::move(counts));
  }
  order_.Commit();
  if (!order_.is_dry_run()) Tell(step, std::chrono::steady_clock::now() - start);
  return absl::OkStatus();
}

void Worker::Tell(uint64_t step, std::chrono::nanoseconds commit_host_time) {
  WorkerFigures figures;
  figures.step = step;
  figures.staleness = report_.staleness;
  figures.undelivered_steps = report_.undelivered_steps;
  figures.lost_steps = report_.lost_steps;
  figures.commit_host_time = commit_host_time;
  figures.counting = order_.is_replay() ? Counting::kReplay : Counting::kTrain;
  source_->Tell(figures);
  if (on_commit_) on_commit_(figures);
}

absl::Status Worker::Leave() {
  if (order_.left()) return absl::OkStatus();
  const Deadline deadline = After(patience_);
  bool is_new = false;
  if (!source_left_) {
    EVENKEEL_ASSIGN_OR_RETURN(is_new, Given(Workspace::kLeaving, source_->Leave(deadline, &version_)));
    source_left_ = true;
  }
  if (is_new) Adopt();
  EVENKEEL_RETURN_IF_ERROR(workspace_->Leave(is_new ? &version_ : nullptr, deadline));
  EVENKEEL_RETURN_IF_ERROR(Report(report_.step + 1));
  order_.Leave();
  return absl::OkStatus();
}

absl::StatusOr<const std::string*> Worker::SaveState() {
  EVENKEEL_RETURN_IF_ERROR(order_.CheckSave());
  const uint64_t step = order_.committed();
  const Deadline deadline = After(patience_);
  EVENKEEL_ASSIGN_OR_RETURN(const v1::Snapshot snapshot, coordinator_.empty()
                                                             ? source_->Save(step, deadline)
                                                             : ReadState(coordinator_, job_, step, deadline));
  saved_ = snapshot.SerializeAsString();
  return &saved_;
}

void Worker::Adopt() {
  report_.epoch = version_.version().epoch();
  report_.step = version_.version().step();
  report_.ok = version_.ok();
  report_.bias_hash = version_.state_hash();
  report_.tokens = version_.tokens();
  report_.violations = version_.violations_size();
  report_.halted = IsHalted(version_);
  report_.contributors = version_.participants_size();
  ReportViolations(layers_, version_.max_violation(), &report_);
}

absl::Status Worker::Report(uint64_t step) {
  EVENKEEL_ASSIGN_OR_RETURN(const uint64_t routed, workspace_->Report(step, &report_));
  const uint64_t due = DueVersion(routed, lag_, first_version_);
  report_.staleness = !makes_versions_ && due > report_.step ? due - report_.step : 0;
  const BiasSource::Backlog backlog = source_->backlog();
  report_.undelivered_steps = backlog.undelivered;
  report_.lost_steps = backlog.lost;
  return absl::OkStatus();
}

}  // namespace evenkeel::client
