#include "client/worker/device_workspace.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/deadline.h"
#include "client/polling.h"
#include "client/worker/host_workspace.h"
#include "client/worker/route_arguments.h"

namespace evenkeel::client {
namespace {

constexpr int kTotals = sizeof(StepCounts::Totals) / sizeof(uint64_t);
// How long what is enqueued may still take when the worker ends.
constexpr std::chrono::seconds kIdleWithin(1);
static_assert(kTotals == 3, "tokens, short_slots, refused");

}  // namespace

// The counts of a step in pinned memory, which a device copies them to.
class DeviceWorkspace::PinnedCounts : public StepCounts {
 public:
  PinnedCounts(DeviceWorkspace* workspace, DeviceBuffer<uint64_t> sums, OwnedEvent arrived)
      : StepCounts(workspace->layers_.total_experts(), workspace->layers_.size(), sums.data()),
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
    : options_(std::move(options)), layers_(*layers), runtime_(runtime), pool_([this] { return MakeCounts(); }) {}

// What waits for ranks that will not come never ends by itself.
DeviceWorkspace::~DeviceWorkspace() {
  if (reducer_ != nullptr && !Idle()) reducer_->Abort();
}

bool DeviceWorkspace::Idle() {
  const Deadline deadline = std::chrono::steady_clock::now() + kIdleWithin;
  if (!runtime_->Record(counted_.get(), side_.get()).ok()) return false;
  for (Polling polling; std::chrono::steady_clock::now() < deadline && Health().ok(); polling.Pause()) {
    const absl::StatusOr<bool> happened = runtime_->Happened(counted_.get());
    if (!happened.ok() || *happened) return happened.ok();
  }
  return false;
}

absl::StatusOr<std::unique_ptr<DeviceWorkspace>> DeviceWorkspace::Make(DeviceWorkspaceOptions options,
                                                                       const LayerTable* layers,
                                                                       const job::JobPlan& plan,
                                                                       DeviceRuntime* runtime) {
  auto workspace = absl::WrapUnique(new DeviceWorkspace(std::move(options), layers, runtime));
  EVENKEEL_RETURN_IF_ERROR(workspace->Allocate(plan));
  return workspace;
}

absl::Status DeviceWorkspace::Allocate(const job::JobPlan& plan) {
  const size_t sums = StepCounts::NumSums(layers_.total_experts(), layers_.size());
  EVENKEEL_ASSIGN_OR_RETURN(side_, OwnedStream::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(counted_, OwnedEvent::Create(runtime_));
  EVENKEEL_ASSIGN_OR_RETURN(bias_, DeviceBuffer<float>::OnDevice(runtime_, layers_.total_experts()));
  EVENKEEL_ASSIGN_OR_RETURN(one_, DeviceBuffer<uint64_t>::Pinned(runtime_, 1));
  *one_.data() = 1;
  for (CountBuffer& buffer : counting_) {
    EVENKEEL_ASSIGN_OR_RETURN(buffer.sums, DeviceBuffer<uint64_t>::OnDevice(runtime_, sums));
    EVENKEEL_ASSIGN_OR_RETURN(buffer.cleared, OwnedEvent::Create(runtime_));
  }
  for (Stage& stage : stages_) {
    EVENKEEL_ASSIGN_OR_RETURN(stage.host, DeviceBuffer<char>::Pinned(runtime_, BiasFrame::Bytes(layers_)));
    EVENKEEL_ASSIGN_OR_RETURN(stage.device, DeviceBuffer<char>::OnDevice(runtime_, BiasFrame::Bytes(layers_)));
    EVENKEEL_ASSIGN_OR_RETURN(stage.news, DeviceBuffer<char>::Pinned(runtime_, BiasFrame::BiasAt(layers_)));
    for (OwnedEvent* event : {&stage.copied, &stage.staged, &stage.taken, &stage.heard}) {
      EVENKEEL_ASSIGN_OR_RETURN(*event, OwnedEvent::Create(runtime_));
    }
  }
  if (options_.versions == Versions::kMade) {
    EVENKEEL_ASSIGN_OR_RETURN(DeviceJob job, DeviceJob::Make(plan, runtime_));
    job_.emplace(std::move(job));
  }
  return absl::OkStatus();
}

std::unique_ptr<StepCounts> DeviceWorkspace::MakeCounts() {
  auto sums = DeviceBuffer<uint64_t>::Pinned(runtime_, counting_[0].sums.size());
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

// ---------------------------------------------------------------------------------------------------------------------
// The bias of a step

absl::Status DeviceWorkspace::Upload(Stage* stage) {
  // Before the other stage's version was the bias, this one's was: there is nothing to wait for in earnest.
  EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(side_.get(), stage->taken.get()));
  EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(stage->device.data(), stage->host.data(), stage->host.bytes(), side_.get()));
  return runtime_->Record(stage->copied.get(), side_.get());
}

absl::StatusOr<DeviceWorkspace::Stage*> DeviceWorkspace::NextStage() {
  Stage* const stage = &stages_[next_stage_++ % 2];
  // What the host wrote has been copied, unless the device is two versions behind.
  for (Polling polling;; polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool copied, runtime_->Happened(stage->copied.get()));
    if (copied) return stage;
    EVENKEEL_RETURN_IF_ERROR(Health());
  }
}

absl::Status DeviceWorkspace::StageGiven(const v1::CommittedVersion& version, Stage* stage) {
  WriteVersion(version, layers_, stage->host.data());
  EVENKEEL_RETURN_IF_ERROR(Upload(stage));
  return runtime_->Record(stage->staged.get(), side_.get());
}

absl::Status DeviceWorkspace::StageBroadcast(const v1::CommittedVersion* version, Stage* stage) {
  if (options_.is_leader) {
    if (version != nullptr) {
      WriteVersion(*version, layers_, stage->host.data());
    } else {
      // The others are told again what they have.
      std::memcpy(stage->host.data(), stages_[next_stage_ % 2].host.data(), stage->host.bytes());
    }
    EVENKEEL_RETURN_IF_ERROR(Upload(stage));
  } else {
    EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(side_.get(), stage->taken.get()));
  }
  EVENKEEL_RETURN_IF_ERROR(reducer_->EnqueueBroadcast(stage->device.data(), stage->device.bytes(), side_.get()));
  EVENKEEL_RETURN_IF_ERROR(watch_->Add(side_.get()));
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(stage->staged.get(), side_.get()));
  if (options_.is_leader) return absl::OkStatus();
  EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(stage->news.data(), stage->device.data(), stage->news.bytes(), side_.get()));
  stage->has_news = true;
  return runtime_->Record(stage->heard.get(), side_.get());
}

absl::Status DeviceWorkspace::Take(const Stage& stage) {
  EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(training_, stage.staged.get()));
  EVENKEEL_RETURN_IF_ERROR(
      runtime_->Copy(bias_.data(), stage.device.data() + BiasFrame::BiasAt(layers_), bias_.bytes(), training_));
  return runtime_->Record(stage.taken.get(), training_);
}

absl::Status DeviceWorkspace::Adopt(const v1::CommittedVersion& version) {
  EVENKEEL_ASSIGN_OR_RETURN(Stage* const stage, NextStage());
  EVENKEEL_RETURN_IF_ERROR(StageGiven(version, stage));
  return Take(*stage);
}

absl::Status DeviceWorkspace::TakeMade(uint64_t step) {
  // Commit staged it, by the number of its step.
  const uint64_t due = step - 1 - options_.lag;
  return due >= options_.first_step ? Take(stages_[due % 2]) : absl::OkStatus();
}

absl::Status DeviceWorkspace::TakeBroadcast(const v1::CommittedVersion* version) {
  EVENKEEL_ASSIGN_OR_RETURN(Stage* const stage, NextStage());
  EVENKEEL_RETURN_IF_ERROR(StageBroadcast(version, stage));
  return Take(*stage);
}

absl::Status DeviceWorkspace::BeginStep(uint64_t step, const v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(Health());
  EVENKEEL_RETURN_IF_ERROR(heard_);
  if (step != options_.first_step) {
    switch (options_.versions) {
      case Versions::kGiven:
        if (version != nullptr) EVENKEEL_RETURN_IF_ERROR(Adopt(*version));
        break;
      case Versions::kMade:
        EVENKEEL_RETURN_IF_ERROR(TakeMade(step));
        break;
      case Versions::kBroadcast:
        EVENKEEL_RETURN_IF_ERROR(TakeBroadcast(version));
        break;
    }
  }
  current_ = &counting_[step % 2];
  return runtime_->WaitOn(training_, current_->cleared.get());
}

void DeviceWorkspace::Fail(const absl::Status& why) {
  if (options_.versions != Versions::kBroadcast || !options_.is_leader || reducer_ == nullptr) return;
  Stage* const stage = &stages_[next_stage_++ % 2];
  WriteFailure(why, stage->host.data());
  // Nobody is left to be told of an error of this.
  Upload(stage).IgnoreError();
  reducer_->EnqueueBroadcast(stage->device.data(), stage->device.bytes(), side_.get()).IgnoreError();
}

absl::Status DeviceWorkspace::Report(StepReport* report) {
  // The older one first.
  for (const uint64_t index : {next_stage_, next_stage_ + 1}) {
    Stage& stage = stages_[index % 2];
    if (!stage.has_news || !heard_.ok()) continue;
    EVENKEEL_ASSIGN_OR_RETURN(const bool heard, runtime_->Happened(stage.heard.get()));
    if (!heard) continue;
    EVENKEEL_RETURN_IF_ERROR(Health());
    stage.has_news = false;
    heard_ = ReadFrame(stage.news.data(), layers_, report);
  }
  return heard_;
}

// ---------------------------------------------------------------------------------------------------------------------
// Routing and counting

absl::Status DeviceWorkspace::SetStream(void* stream) {
  training_ = static_cast<DeviceStream>(stream);
  return absl::OkStatus();
}

absl::Status DeviceWorkspace::Route(int index, const Tokens& tokens, const Assignments& assignments) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  auto* const stats = reinterpret_cast<routing::RouteStats*>(TotalsOf(index));
  return AtLayer(layer, runtime_->Route(*spec, InputOf(*spec, tokens, bias(index)),
                                        OutputOf(*spec, assignments, CountsOf(index)), stats, training_));
}

absl::Status DeviceWorkspace::RouteBackward(int index, const Tokens& tokens, const Gradients& gradients) {
  const LayerTable::Layer& layer = layers_[index];
  EVENKEEL_ASSIGN_OR_RETURN(const routing::RouteSpec* const spec, RouteOf(layer));
  return AtLayer(layer, runtime_->RouteBackward(*spec, BackwardInputOf(*spec, tokens, gradients),
                                                BackwardOutputOf(*spec, gradients), training_));
}

absl::Status DeviceWorkspace::Count(int index, const Ids& ids) {
  const LayerTable::Layer& layer = layers_[index];
  counting::IdsInput input;
  input.num_experts = layer.num_experts;
  input.top_k = layer.top_k;
  input.ids = ids.ids;
  input.id_type = IdTypeOf(ids.ids_type);
  input.rows = ids.rows;
  input.ids_stride = ids.ids_stride == 0 ? layer.top_k : ids.ids_stride;
  input.valid_mask = ids.valid_mask;
  return AtLayer(layer, runtime_->CountIds(input, OutputFor(index), training_));
}

absl::Status DeviceWorkspace::AddCounts(int index, const uint64_t* counts, uint64_t valid_tokens,
                                        uint64_t short_slots) {
  const LayerTable::Layer& layer = layers_[index];
  counting::CountsInput input;
  input.num_experts = layer.num_experts;
  input.top_k = layer.top_k;
  input.counts = counts;
  input.type = counting::CountType::kInt64;
  input.valid_rows = valid_tokens;
  input.short_slots = short_slots;
  return AtLayer(layer, runtime_->AddCounts(input, OutputFor(index), training_));
}

counting::CountOutput DeviceWorkspace::OutputFor(int index) {
  uint64_t* const totals = TotalsOf(index);
  return {CountsOf(index), reinterpret_cast<routing::RouteStats*>(totals), totals + kTotals - 1};
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of a step

absl::StatusOr<StepCountsPtr> DeviceWorkspace::Commit(uint64_t step, bool ok) {
  EVENKEEL_RETURN_IF_ERROR(EnsureReducer());
  EVENKEEL_RETURN_IF_ERROR(Health());
  StepCountsPtr counts = pool_.Take();
  if (counts == nullptr) return absl::ResourceExhaustedError("there is no pinned memory for the counts of a step");
  counts->step = step;

  const DeviceBuffer<uint64_t>& sums = current_->sums;
  uint64_t* const skips = sums.data() + sums.size() - 1;
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(counted_.get(), training_));
  EVENKEEL_RETURN_IF_ERROR(runtime_->WaitOn(side_.get(), counted_.get()));
  if (!ok) EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(skips, one_.data(), one_.bytes(), side_.get()));
  if (reducer_ != nullptr) {
    EVENKEEL_RETURN_IF_ERROR(reducer_->EnqueueSum(sums.data(), sums.size(), side_.get()));
    EVENKEEL_RETURN_IF_ERROR(watch_->Add(side_.get()));
  }
  if (job_.has_value()) EVENKEEL_RETURN_IF_ERROR(StageMade(step, skips));
  EVENKEEL_RETURN_IF_ERROR(static_cast<PinnedCounts&>(*counts).EnqueueCopy(sums, side_.get()));
  EVENKEEL_RETURN_IF_ERROR(runtime_->FillZero(sums.data(), sums.bytes(), side_.get()));
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(current_->cleared.get(), side_.get()));
  return counts;
}

absl::Status DeviceWorkspace::StageMade(uint64_t step, const uint64_t* skips) {
  const uint64_t* const counts = current_->sums.data();
  EVENKEEL_RETURN_IF_ERROR(job_->EnqueueCommit(counts, counts + layers_.total_experts(), kTotals, skips, side_.get()));
  // The version that the stage held is the bias since before the counts were complete.
  const Stage& stage = stages_[step % 2];
  EVENKEEL_RETURN_IF_ERROR(
      runtime_->Copy(stage.device.data() + BiasFrame::BiasAt(layers_), job_->bias(), bias_.bytes(), side_.get()));
  return runtime_->Record(stage.staged.get(), side_.get());
}

}  // namespace evenkeel::client
