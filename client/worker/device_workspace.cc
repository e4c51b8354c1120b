#include "client/worker/device_workspace.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/polling.h"
#include "client/source/rank_checks.h"
#include "client/worker/route_arguments.h"

namespace evenkeel::client {
namespace {

constexpr int kTotals = sizeof(StepCounts::Totals) / sizeof(uint64_t);
static_assert(kTotals == 3, "tokens, short_slots, refused");

// How long what is enqueued may still take when the worker ends.
Deadline AtTheEnd() { return std::chrono::steady_clock::now() + std::chrono::seconds(1); }

// For good: a device may still write what `memory` owns.
template <typename Memory>
void LeaveToTheDevice(std::unique_ptr<Memory> memory) {
  static Mutex mutex;
  static auto* const left = new std::vector<std::unique_ptr<Memory>>;
  MutexLock lock(&mutex);
  left->push_back(std::move(memory));
}

}  // namespace

// The counts of a step in pinned memory, which a device copies them to.
class DeviceWorkspace::PinnedCounts : public StepCounts {
 public:
  PinnedCounts(DeviceWorkspace* workspace, DeviceBuffer<uint64_t> sums, OwnedEvent arrived)
      : StepCounts(workspace->shape(), sums.data()),
        workspace_(*workspace),
        sums_(std::move(sums)),
        arrived_(std::move(arrived)) {}

  absl::Status Arrive() override {
    for (Polling polling;; polling.Pause()) {
      EVENKEEL_RETURN_IF_ERROR(workspace_.Health());
      EVENKEEL_ASSIGN_OR_RETURN(const bool happened, workspace_.runtime_->Happened(arrived_.get()));
      // What ran before a lost rank was noticed may have run without it.
      if (happened) return workspace_.Health();
      if (workspace_.stopping_) return absl::CancelledError("the worker is gone");
    }
  }

  absl::Status EnqueueCopy(const DeviceBuffer<uint64_t>& from, DeviceStream stream) {
    EVENKEEL_RETURN_IF_ERROR(workspace_.runtime_->Copy(sums_.data(), from.data(), from.bytes(), stream));
    return workspace_.runtime_->Record(arrived_.get(), stream);
  }

 private:
  DeviceWorkspace& workspace_;
  const DeviceBuffer<uint64_t> sums_;
  const OwnedEvent arrived_;
};

DeviceWorkspace::DeviceWorkspace(DeviceWorkspaceOptions options, const LayerTable* layers, DeviceRuntime* runtime)
    : options_(std::move(options)), layers_(*layers), runtime_(runtime), memory_(std::make_unique<Memory>(this)) {
  heard_.max_violation.resize(layers_.size());
}

// What waits for ranks that will not come never ends by itself.
DeviceWorkspace::~DeviceWorkspace() {
  if (reducer_ == nullptr || Drain(AtTheEnd())) return;
  reducer_->Abort();
  if (!Drain(AtTheEnd())) LeaveToTheDevice(std::move(memory_));
}

bool DeviceWorkspace::Drain(Deadline deadline) {
  if (!runtime_->Record(drained_.get(), side_.get()).ok()) return false;
  for (Polling polling;; polling.Pause()) {
    const absl::StatusOr<bool> happened = runtime_->Happened(drained_.get());
    if (!happened.ok() || *happened) return happened.ok();
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
}

absl::StatusOr<std::unique_ptr<DeviceWorkspace>> DeviceWorkspace::Make(DeviceWorkspaceOptions options,
                                                                       const LayerTable* layers,
                                                                       const job::JobPlan* plan,
                                                                       DeviceRuntime* runtime) {
  auto workspace = absl::WrapUnique(new DeviceWorkspace(std::move(options), layers, runtime));
  EVENKEEL_RETURN_IF_ERROR(workspace->Allocate(plan));
  return workspace;
}

absl::Status DeviceWorkspace::Allocate(const job::JobPlan* plan) {
  const size_t sums = shape().Sums();
  const size_t frame = BiasFrame::Bytes(layers_);
  EVENKEEL_ASSIGN_OR_RETURN(side_, OwnedStream::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(counted_, OwnedEvent::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(drained_, OwnedEvent::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(memory_->bias, DeviceBuffer<float>::OnDevice(runtime_, layers_.total_experts()));
  EVENKEEL_ASSIGN_OR_RETURN(memory_->one, DeviceBuffer<uint64_t>::Pinned(runtime_, 1));
  *memory_->one.data() = 1;
  constexpr size_t kStats = sizeof(routing::RouteStats) / sizeof(uint64_t);
  EVENKEEL_ASSIGN_OR_RETURN(memory_->aside, DeviceBuffer<uint64_t>::OnDevice(runtime_, kStats));
  for (CountBuffer& buffer : memory_->counting) {
    EVENKEEL_ASSIGN_OR_RETURN(buffer.sums, DeviceBuffer<uint64_t>::OnDevice(runtime_, sums));
    EVENKEEL_ASSIGN_OR_RETURN(buffer.cleared, OwnedEvent::Create(runtime_));
  }
  for (Stage& stage : memory_->stages) {
    EVENKEEL_ASSIGN_OR_RETURN(stage.host, DeviceBuffer<char>::Pinned(runtime_, frame));
    EVENKEEL_ASSIGN_OR_RETURN(stage.device, DeviceBuffer<char>::OnDevice(runtime_, frame));
    for (OwnedEvent* event : {&stage.copied, &stage.staged}) {
      EVENKEEL_ASSIGN_OR_RETURN(*event, OwnedEvent::Create(runtime_));
    }
  }
  if (options_.versions == Versions::kMade) {
    EVENKEEL_ASSIGN_OR_RETURN(DeviceJob job, DeviceJob::Make(*plan, runtime_, options_.first_bias));
    memory_->job.emplace(std::move(job));
  }
  current_ = &memory_->counting[0];
  return absl::OkStatus();
}

std::unique_ptr<StepCounts> DeviceWorkspace::MakeCounts() {
  auto sums = DeviceBuffer<uint64_t>::Pinned(runtime_, memory_->counting[0].sums.size());
  auto arrived = OwnedEvent::Create(runtime_);
  if (!sums.ok() || !arrived.ok()) return nullptr;
  return std::make_unique<PinnedCounts>(this, *std::move(sums), *std::move(arrived));
}

absl::Status DeviceWorkspace::EnsureReducer() {
  if (reducer_ != nullptr || options_.make_reducer == nullptr) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(reducer_, options_.make_reducer());
  watch_ = std::make_unique<EventWatch>(runtime_, reducer_.get(), options_.timeout);
  return absl::OkStatus();
}

absl::Status DeviceWorkspace::Health() {
  EventWatch* const watch = watch_.get();
  return watch != nullptr ? watch->status() : absl::OkStatus();
}

absl::Status DeviceWorkspace::Check() {
  // In this order: a leader that has said why it fails may be gone by now.
  const absl::Status health = Health();
  if (failure_.ok()) failure_ = Hear();
  return Enqueued(health);
}

absl::Status DeviceWorkspace::Enqueued(const absl::Status& status) {
  if (!failure_.ok() || status.ok()) return failure_;
  // What was aborted meanwhile says so, and not why.
  const absl::Status health = absl::IsCancelled(status) ? Health() : absl::OkStatus();
  failure_ = health.ok() ? status : health;
  return failure_;
}

// ---------------------------------------------------------------------------------------------------------------------
// The bias of a step

absl::Status DeviceWorkspace::Upload(Stage* stage) {
  EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(stage->device.data(), stage->host.data(), stage->host.bytes(), side_.get()));
  return runtime_->Record(stage->copied.get(), side_.get());
}

absl::StatusOr<DeviceWorkspace::Stage*> DeviceWorkspace::NextStage() {
  Stage* const stage = &memory_->stages[next_stage_++ % 2];
  // It is, unless the device is two versions behind.
  for (Polling polling;; polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool copied, runtime_->Happened(stage->copied.get()));
    EVENKEEL_RETURN_IF_ERROR(Check());
    if (copied) return stage;
  }
}

absl::Status DeviceWorkspace::StageGiven(const v1::CommittedVersion& version, Stage* stage) {
  WriteVersion(version, /*routes=*/0, layers_, stage->host.data());
  EVENKEEL_RETURN_IF_ERROR(Upload(stage));
  return runtime_->Record(stage->staged.get(), side_.get());
}

absl::Status DeviceWorkspace::StageBroadcast(uint64_t step, const v1::CommittedVersion* version, Stage* stage) {
  if (!options_.is_leader()) return Listen(step, stage);
  if (version != nullptr) {
    WriteVersion(*version, step, layers_, stage->host.data());
  } else {
    // The others are told again what they have.
    std::memcpy(stage->host.data(), memory_->stages[next_stage_ % 2].host.data(), stage->host.bytes());
    Readdress(step, stage->host.data());
  }
  return Tell(stage);
}

absl::Status DeviceWorkspace::Tell(Stage* stage) {
  EVENKEEL_RETURN_IF_ERROR(Upload(stage));
  EVENKEEL_RETURN_IF_ERROR(watch_->Enqueue(side_.get(), [&] {
    return reducer_->EnqueueBroadcast(stage->device.data(), stage->device.bytes(), side_.get());
  }));
  return runtime_->Record(stage->staged.get(), side_.get());
}

absl::Status DeviceWorkspace::Listen(uint64_t step, Stage* stage) {
  EVENKEEL_RETURN_IF_ERROR(watch_->Enqueue(side_.get(), [&] {
    return reducer_->EnqueueBroadcast(stage->device.data(), stage->device.bytes(), side_.get());
  }));
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(stage->staged.get(), side_.get()));
  EVENKEEL_RETURN_IF_ERROR(
      runtime_->Copy(stage->host.data(), stage->device.data(), BiasFrame::BiasAt(layers_), side_.get()));
  stage->news_of = step;
  return runtime_->Record(stage->copied.get(), side_.get());
}

absl::Status DeviceWorkspace::Take(const Stage& stage) {
  const DeviceBuffer<float>& bias = memory_->bias;
  EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(training_, stage.staged.get()));
  return runtime_->Copy(bias.data(), stage.device.data() + BiasFrame::BiasAt(layers_), bias.bytes(), training_);
}

absl::Status DeviceWorkspace::TakeGiven(const v1::CommittedVersion& version) {
  EVENKEEL_ASSIGN_OR_RETURN(Stage* const stage, NextStage());
  EVENKEEL_RETURN_IF_ERROR(StageGiven(version, stage));
  return Take(*stage);
}

absl::Status DeviceWorkspace::TakeMade(uint64_t step) {
  // Commit staged it, by the number of its step.
  const uint64_t due = step - 1 - options_.lag;
  return due >= options_.first_step ? Take(memory_->stages[due % 2]) : absl::OkStatus();
}

absl::Status DeviceWorkspace::TakeBroadcast(uint64_t step, const v1::CommittedVersion* version) {
  EVENKEEL_ASSIGN_OR_RETURN(Stage* const stage, NextStage());
  EVENKEEL_RETURN_IF_ERROR(StageBroadcast(step, version, stage));
  return Take(*stage);
}

absl::Status DeviceWorkspace::EnqueueAdopt(const v1::CommittedVersion& version) {
  EVENKEEL_ASSIGN_OR_RETURN(Stage* const stage, NextStage());
  EVENKEEL_RETURN_IF_ERROR(StageGiven(version, stage));
  const DeviceBuffer<float>& bias = memory_->bias;
  const char* const staged = stage->device.data() + BiasFrame::BiasAt(layers_);
  EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(bias.data(), staged, bias.bytes(), side_.get()));
  return runtime_->Record(drained_.get(), side_.get());
}

// Waits, for no trainer knows of this stream: whatever it enqueues from now on has the bias, evaluation too.
absl::Status DeviceWorkspace::Adopt(const v1::CommittedVersion& version) {
  EVENKEEL_RETURN_IF_ERROR(EnqueueAdopt(version));
  for (Polling polling;; polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool happened, runtime_->Happened(drained_.get()));
    if (happened) return absl::OkStatus();
  }
}

absl::Status DeviceWorkspace::BeginStep(uint64_t step, const v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(Check());
  return Enqueued(EnqueueBegin(step, version));
}

absl::Status DeviceWorkspace::EnqueueBegin(uint64_t step, const v1::CommittedVersion* version) {
  const bool has_its_bias = step == options_.first_step;
  if (options_.versions == Versions::kBroadcast && !has_its_bias) {
    EVENKEEL_RETURN_IF_ERROR(TakeBroadcast(step, version));
  } else if (options_.versions == Versions::kMade && !has_its_bias) {
    EVENKEEL_RETURN_IF_ERROR(TakeMade(step));
  } else if (version != nullptr) {
    EVENKEEL_RETURN_IF_ERROR(TakeGiven(*version));
  }
  return EnqueueCounting(step);
}

absl::Status DeviceWorkspace::EnqueueCounting(uint64_t step) {
  current_ = &memory_->counting[step % 2];
  return runtime_->WaitOn(training_, current_->cleared.get());
}

absl::Status DeviceWorkspace::BeginDryRun(uint64_t step) {
  EVENKEEL_RETURN_IF_ERROR(Check());
  return Enqueued(EnqueueCounting(step));
}

absl::Status DeviceWorkspace::EndDryRun() {
  const DeviceBuffer<uint64_t>& sums = current_->sums;
  return Enqueued(runtime_->FillZero(sums.data(), sums.bytes(), training_));
}

absl::Status DeviceWorkspace::Leave(const v1::CommittedVersion* version, Deadline deadline) {
  EVENKEEL_RETURN_IF_ERROR(Check());
  if (!std::exchange(left_, true)) {
    // Without a commit there was nothing to reduce, nor to tell.
    const bool told = options_.versions == Versions::kBroadcast && reducer_ != nullptr;
    if (told) EVENKEEL_RETURN_IF_ERROR(Enqueued(TakeBroadcast(kLeaving, version)));
    if (!told && version != nullptr) EVENKEEL_RETURN_IF_ERROR(Enqueued(TakeGiven(*version)));
  }
  // Whoever ends now, ends nothing that others still need.
  if (reducer_ == nullptr) return absl::OkStatus();
  EVENKEEL_RETURN_IF_ERROR(Enqueued(runtime_->Record(drained_.get(), side_.get())));
  for (Polling polling;; polling.Pause()) {
    const absl::StatusOr<bool> drained = runtime_->Happened(drained_.get());
    EVENKEEL_RETURN_IF_ERROR(Check());
    EVENKEEL_RETURN_IF_ERROR(Enqueued(drained.status()));
    if (*drained) return absl::OkStatus();
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError("not all ranks of the group have left yet");
    }
  }
}

void DeviceWorkspace::Fail(uint64_t step, const absl::Status& why) {
  if (options_.versions != Versions::kBroadcast || !options_.is_leader() || reducer_ == nullptr || !failure_.ok())
    return;
  const absl::StatusOr<Stage*> stage = NextStage();
  if (stage.ok()) {
    // With the bias that the others have.
    std::memcpy((*stage)->host.data(), memory_->stages[next_stage_ % 2].host.data(), (*stage)->host.bytes());
    WriteFailure(why, step, (*stage)->host.data());
    // Nobody is left to be told of an error of this.
    Tell(*stage).IgnoreError();
  }
  failure_ = why;
}

absl::StatusOr<uint64_t> DeviceWorkspace::Report(uint64_t step, StepReport* report) {
  EVENKEEL_RETURN_IF_ERROR(Check());
  if (options_.versions != Versions::kBroadcast || options_.is_leader() || heard_step_ == 0) return step;
  report->epoch = heard_.epoch;
  report->step = heard_.step;
  report->ok = heard_.ok;
  report->bias_hash = heard_.bias_hash;
  report->tokens = heard_.tokens;
  report->violations = heard_.violations;
  report->halted = heard_.halted;
  report->contributors = heard_.contributors;
  report->max_violation = heard_.max_violation;
  return heard_step_ == kLeaving ? heard_.step + 1 : heard_step_;
}

absl::Status DeviceWorkspace::Hear() {
  // The older one first.
  for (const uint64_t index : {next_stage_, next_stage_ + 1}) {
    Stage* const stage = &memory_->stages[index % 2];
    if (stage->news_of == 0) continue;
    EVENKEEL_ASSIGN_OR_RETURN(const bool copied, runtime_->Happened(stage->copied.get()));
    if (copied) EVENKEEL_RETURN_IF_ERROR(Read(stage));
  }
  return absl::OkStatus();
}

absl::Status DeviceWorkspace::Read(Stage* stage) {
  const uint64_t step = std::exchange(stage->news_of, 0);
  // What an abort has ended is anything; but nothing looks like that step's failure.
  if (!IsFailure(stage->host.data(), step)) EVENKEEL_RETURN_IF_ERROR(Health());
  EVENKEEL_RETURN_IF_ERROR(ReadFrame(stage->host.data(), step, layers_, &heard_));
  heard_step_ = step;
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------------------------------------------------
// Routing and counting

absl::Status DeviceWorkspace::SetStream(void* stream) {
  training_ = static_cast<DeviceStream>(stream);
  return absl::OkStatus();
}

absl::Status DeviceWorkspace::Route(int index, const Tokens& tokens, const Assignments& assignments, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  const float* const bias = memory_->bias.data() + OffsetOf(layer, tokens.stream);
  auto* const stats = counts ? reinterpret_cast<routing::RouteStats*>(TotalsOf(index, tokens.stream)) : nullptr;
  uint64_t* const into = counts ? CountsOf(index, tokens.stream) : nullptr;
  return AtLayer(layer, runtime_->Route(*spec, InputOf(*spec, tokens, bias), OutputOf(*spec, assignments, into), stats,
                                        training_));
}

absl::Status DeviceWorkspace::RouteBackward(int index, const Tokens& tokens, const Gradients& gradients) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  return AtLayer(layer, runtime_->RouteBackward(*spec, BackwardInputOf(*spec, tokens, gradients),
                                                BackwardOutputOf(*spec, gradients), training_));
}

absl::Status DeviceWorkspace::Count(int index, const Ids& ids, bool counts) {
  return CountIds(layers_[index], ids, OutputFor(index, ids.stream), counts);
}

absl::Status DeviceWorkspace::AddCounts(int index, const Counts& given, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  const counting::CountsInput input = CountsInputOf(layer.num_experts, layer.top_k, given);
  return AddSums(layer, input, OutputFor(index, given.stream), counts);
}

absl::Status DeviceWorkspace::CountDispatched(int index, const Ids& ids, bool counts) {
  return CountIds(layers_[index], ids, DispatchedOutputFor(index, ids.stream), counts);
}

absl::Status DeviceWorkspace::AddDispatched(int index, const Counts& given, bool counts) {
  const LayerTable::Layer& layer = layers_[index];
  counting::CountsInput input = CountsInputOf(layer.num_experts, layer.top_k, given);
  input.any_sum = true;
  return AddSums(layer, input, DispatchedOutputFor(index, given.stream), counts);
}

absl::Status DeviceWorkspace::CountIds(const LayerTable::Layer& layer, const Ids& ids,
                                       const counting::CountOutput& output, bool counts) {
  const counting::IdsInput input = IdsInputOf(layer.num_experts, layer.top_k, ids);
  return AtLayer(layer, counts ? runtime_->CountIds(input, output, training_) : counting::ValidateCount(input, output));
}

absl::Status DeviceWorkspace::AddSums(const LayerTable::Layer& layer, const counting::CountsInput& input,
                                      const counting::CountOutput& output, bool counts) {
  return AtLayer(layer,
                 counts ? runtime_->AddCounts(input, output, training_) : counting::ValidateCount(input, output));
}

uint64_t* DeviceWorkspace::TotalsOf(int layer, int stream) {
  return current_->sums.data() + shape().TotalsAt() + kTotals * (layers_[layer].first_row + stream);
}

counting::CountOutput DeviceWorkspace::OutputFor(int index, int stream) {
  uint64_t* const totals = TotalsOf(index, stream);
  return {CountsOf(index, stream), reinterpret_cast<routing::RouteStats*>(totals), totals + kTotals - 1};
}

// The totals of the row are those of what was routed; rows that are refused are told with them.
counting::CountOutput DeviceWorkspace::DispatchedOutputFor(int index, int stream) {
  const LayerTable::Layer& layer = layers_[index];
  uint64_t* const dispatched = current_->sums.data() + shape().DispatchedAt() + layer.dispatched_offset;
  auto* const stats = reinterpret_cast<routing::RouteStats*>(memory_->aside.data());
  return {dispatched + stream * layer.num_experts, stats, TotalsOf(index, stream) + kTotals - 1};
}

absl::Status DeviceWorkspace::CheckCapturesNothing(absl::string_view call) {
  EVENKEEL_ASSIGN_OR_RETURN(const bool captures, runtime_->IsCapturing(training_));
  if (!captures) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(call,
                   ": the stream is capturing a graph, and the counts would be copied in it; call this outside of "
                   "the capture"));
}

absl::Status DeviceWorkspace::BeginCapture() {
  EVENKEEL_RETURN_IF_ERROR(Check());
  EVENKEEL_RETURN_IF_ERROR(CheckCapturesNothing("BeginCapture"));
  const DeviceBuffer<uint64_t>& sums = current_->sums;
  DeviceBuffer<uint64_t>& before = memory_->before_capture;
  if (before.size() == 0) {
    EVENKEEL_ASSIGN_OR_RETURN(before, DeviceBuffer<uint64_t>::OnDevice(runtime_, sums.size()));
  }
  return Enqueued(runtime_->Copy(before.data(), sums.data(), sums.bytes(), training_));
}

absl::Status DeviceWorkspace::EndCapture() {
  EVENKEEL_RETURN_IF_ERROR(Check());
  EVENKEEL_RETURN_IF_ERROR(CheckCapturesNothing("EndCapture"));
  const DeviceBuffer<uint64_t>& sums = current_->sums;
  return Enqueued(runtime_->Copy(sums.data(), memory_->before_capture.data(), sums.bytes(), training_));
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of a step

absl::StatusOr<StepCountsPtr> DeviceWorkspace::Commit(uint64_t step, const StepEnd& end) {
  EVENKEEL_RETURN_IF_ERROR(Check());
  EVENKEEL_RETURN_IF_ERROR(Enqueued(EnsureReducer()));
  StepCountsPtr counts = memory_->pool.Take();
  if (counts == nullptr) return absl::ResourceExhaustedError("there is no pinned memory for the counts of a step");
  counts->step = step;
  EVENKEEL_RETURN_IF_ERROR(Enqueued(EnqueueCommit(step, end, static_cast<PinnedCounts*>(counts.get()))));
  return counts;
}

absl::Status DeviceWorkspace::EnqueueCommit(uint64_t step, const StepEnd& end, PinnedCounts* counts) {
  const DeviceBuffer<uint64_t>& sums = current_->sums;
  const StepShape shape = this->shape();
  EVENKEEL_RETURN_IF_ERROR(EnqueueCheck());
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(counted_.get(), training_));
  EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(side_.get(), counted_.get()));
  const DeviceBuffer<uint64_t>& one = memory_->one;
  for (const auto& [is_so, at] : {std::pair(!end.ok, shape.SkipsAt()), std::pair(end.replayed, shape.ReplaysAt())}) {
    if (is_so) EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(sums.data() + at, one.data(), one.bytes(), side_.get()));
  }
  if (reducer_ != nullptr) {
    EVENKEEL_RETURN_IF_ERROR(
        watch_->Enqueue(side_.get(), [&] { return reducer_->EnqueueSum(sums.data(), sums.size(), side_.get()); }));
  }
  if (memory_->job.has_value()) EVENKEEL_RETURN_IF_ERROR(StageMade(step));
  EVENKEEL_RETURN_IF_ERROR(counts->EnqueueCopy(sums, side_.get()));
  EVENKEEL_RETURN_IF_ERROR(runtime_->FillZero(sums.data(), sums.bytes(), side_.get()));
  return runtime_->Record(current_->cleared.get(), side_.get());
}

absl::Status DeviceWorkspace::EnqueueCheck() {
  static_assert(sizeof(StepCounts::RankCheck) == 2 * sizeof(uint64_t), "counts, bias");
  const DeviceBuffer<float>& bias = memory_->bias;
  uint64_t* const sums = current_->sums.data();
  uint64_t* const check = sums + shape().ChecksAt() + 2 * options_.place;
  EVENKEEL_RETURN_IF_ERROR(runtime_->Checksum(sums, CountedWords(shape()), /*start=*/0, check, training_));
  return runtime_->Checksum(bias.data(), bias.size(), kBiasChecksumStart, check + 1, training_);
}

absl::Status DeviceWorkspace::StageMade(uint64_t step) {
  const uint64_t* const counts = current_->sums.data();
  DeviceJob& job = *memory_->job;
  const StepShape shape = this->shape();
  EVENKEEL_RETURN_IF_ERROR(job.EnqueueCommit(counts, counts + shape.TotalsAt(), kTotals, counts + shape.SkipsAt(),
                                             counts + shape.ReplaysAt(), side_.get()));
  // The version that the stage held is the bias since before the counts were complete.
  const Stage& stage = memory_->stages[step % 2];
  EVENKEEL_RETURN_IF_ERROR(
      runtime_->Copy(stage.device.data() + BiasFrame::BiasAt(layers_), job.bias(), memory_->bias.bytes(), side_.get()));
  return runtime_->Record(stage.staged.get(), side_.get());
}

}  // namespace evenkeel::client
