#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/deadline.h"
#include "client/device/device_buffer.h"
#include "client/device/device_job.h"
#include "client/device/device_runtime.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/event_watch.h"
#include "client/worker/bias_frame.h"
#include "client/worker/layer_table.h"
#include "client/worker/workspace.h"
#include "job/job_plan.h"

namespace evenkeel::client {

struct DeviceWorkspaceOptions {
  // Where the bias of a step comes from.
  enum class Versions {
    kGiven,      // BeginStep is given it
    kMade,       // the device makes it of the counts, summed over the group
    kBroadcast,  // BeginStep of the leader is given it, and broadcasts it to the group
  };
  Versions versions = Versions::kGiven;
  int lag = 0;
  uint64_t first_step = 1;
  // What a device that makes its versions begins with, [total experts] in protocol order; empty: 0.
  std::vector<float> first_bias;
  // Makes the group's reducer, at the first commit; null where counts are not summed on the device.
  std::function<absl::StatusOr<std::unique_ptr<DeviceReducer>>()> make_reducer;
  // Of the rank among those of its group; the first is the leader.
  int place = 0;
  int ranks = 1;
  bool is_leader() const { return place == 0; }
  // Within which the other ranks come to a collective.
  std::chrono::milliseconds timeout{600'000};
};

// A Workspace on a device. No call waits for it, but the first Commit, while the ranks of the group connect; BeginStep,
// should the device be two versions behind; and Leave.
//
//   training stream   wait(staged) . copy bias . wait(cleared) . route, count ... check . record(counted) ...
//                     (at a dry run: wait(cleared) . route, count ... clear)
//   side stream                                                           wait(counted) . sum . update . copy . clear
//                     copy or broadcast the version . record(staged)
//
// Counts alternate between two buffers, and staged biases between two, so that neither stream waits for the other in
// vain. Where other ranks have a part in what is enqueued, all ranks of the group make the same calls (Leave after the
// same commit), and a thread finds out when they are lost: then all calls fail. So they do after an error in the middle
// of a call, for good: what is enqueued then, and what is not, nobody knows.
class DeviceWorkspace : public Workspace {
 public:
  // `layers` and `runtime` outlive it; `plan` is the job as it is in force, and may be null where no version is made.
  // Errors of the runtime, and of DeviceJob.
  static absl::StatusOr<std::unique_ptr<DeviceWorkspace>> Make(DeviceWorkspaceOptions options, const LayerTable* layers,
                                                               const job::JobPlan* plan, DeviceRuntime* runtime);
  // Waits until the device is idle. Where it waits for ranks that do not come, leaves the group after a second; where
  // even that does not end it (a communicator that is somebody else's), leaves the memory to it.
  ~DeviceWorkspace() override;

  absl::Status Adopt(const v1::CommittedVersion& version) override;
  absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) override;
  absl::Status Leave(const v1::CommittedVersion* version, Deadline deadline) override;
  // Of a follower: of the newest broadcast that has been heard.
  absl::StatusOr<uint64_t> Report(uint64_t step, StepReport* report) override;
  // The leader's broadcast, in place of the version.
  void Fail(uint64_t step, const absl::Status& why) override;
  absl::Status BeginDryRun(uint64_t step) override;
  absl::Status EndDryRun() override;
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments, bool counts) override;
  absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) override;
  absl::Status Count(int layer, const Ids& ids, bool counts) override;
  absl::Status AddCounts(int layer, const Counts& given, bool counts) override;
  absl::Status CountDispatched(int layer, const Ids& ids, bool counts) override;
  absl::Status AddDispatched(int layer, const Counts& given, bool counts) override;
  // Not while the training stream captures a graph, which would have the copies in it: FAILED_PRECONDITION.
  absl::Status BeginCapture() override;
  absl::Status EndCapture() override;
  absl::StatusOr<StepCountsPtr> Commit(uint64_t step, const StepEnd& end) override;
  void Stop() override { stopping_ = true; }
  absl::Status SetStream(void* stream) override;
  const float* bias(int layer) const override { return memory_->bias.data() + layers_[layer].offset; }

 private:
  using Versions = DeviceWorkspaceOptions::Versions;
  class PinnedCounts;

  // What a step counts into.
  struct CountBuffer {
    DeviceBuffer<uint64_t> sums;  // as StepCounts::sums()
    OwnedEvent cleared;           // on the side stream
  };
  // A version on its way to the bias. A stage is used again when its version is the bias: by then a step that began
  // with it, or with a later one, has been counted, which the side stream waits for.
  struct Stage {
    // A BiasFrame, pinned: what the device is to hold; or, at a follower, the beginning of what it heard.
    DeviceBuffer<char> host;
    DeviceBuffer<char> device;  // likewise, all of it
    OwnedEvent copied;          // from the one to the other: `host` is the host's again
    OwnedEvent staged;          // `device` holds the version
    uint64_t news_of = 0;       // the step that `host` will tell of, once copied, at a follower; 0: it has been read
  };
  // What the device reads and writes on its own.
  struct Memory {
    explicit Memory(DeviceWorkspace* workspace) : pool([workspace] { return workspace->MakeCounts(); }) {}

    CountBuffer counting[2];
    Stage stages[2];
    DeviceBuffer<float> bias;               // [total experts], in protocol order
    DeviceBuffer<uint64_t> one;             // pinned
    DeviceBuffer<uint64_t> aside;           // a RouteStats, for totals that are not the step's
    DeviceBuffer<uint64_t> before_capture;  // as CountBuffer::sums; from the first capture on
    std::optional<DeviceJob> job;
    StepCountsPool pool;
  };

  DeviceWorkspace(DeviceWorkspaceOptions options, const LayerTable* layers, DeviceRuntime* runtime);

  absl::Status Allocate(const job::JobPlan* plan);
  std::unique_ptr<StepCounts> MakeCounts();
  absl::Status EnsureReducer();
  // Waits until the side stream is idle, no longer than told: whether it is.
  bool Drain(Deadline deadline);

  // Why nothing can be done any more; from any thread.
  absl::Status Health();
  // The same in words that say more, if there are any: what the leader said last, or what went wrong first.
  absl::Status Check();
  // What came of enqueueing: an error is for good.
  absl::Status Enqueued(const absl::Status& status);

  StepShape shape() const { return layers_.shape(options_.ranks); }
  uint64_t* CountsOf(int layer, int stream) { return current_->sums.data() + OffsetOf(layers_[layer], stream); }
  // A StepCounts::Totals.
  uint64_t* TotalsOf(int layer, int stream);

  counting::CountOutput OutputFor(int layer, int stream);
  counting::CountOutput DispatchedOutputFor(int layer, int stream);
  // Without `counts`: checks only.
  absl::Status CountIds(const LayerTable::Layer& layer, const Ids& ids, const counting::CountOutput& output,
                        bool counts);
  absl::Status AddSums(const LayerTable::Layer& layer, const counting::CountsInput& input,
                       const counting::CountOutput& output, bool counts);

  absl::Status EnqueueBegin(uint64_t step, const v1::CommittedVersion* version);
  absl::Status EnqueueCounting(uint64_t step);
  absl::Status EnqueueCommit(uint64_t step, const StepEnd& end, PinnedCounts* counts);
  // This rank's StepCounts::RankCheck, on the training stream, which may change the bias next.
  absl::Status EnqueueCheck();
  absl::Status EnqueueAdopt(const v1::CommittedVersion& version);
  absl::Status CheckCapturesNothing(absl::string_view call);

  // The three ways of a version. Each leaves a stage that is staged.
  absl::Status StageMade(uint64_t step);
  absl::Status StageGiven(const v1::CommittedVersion& version, Stage* stage);
  absl::Status StageBroadcast(uint64_t step, const v1::CommittedVersion* version, Stage* stage);
  absl::Status Tell(Stage* stage);
  absl::Status Listen(uint64_t step, Stage* stage);
  // The stage that was used less recently, when its memory of the host is free.
  absl::StatusOr<Stage*> NextStage();
  absl::Status Upload(Stage* stage);
  // Makes a staged version the bias.
  absl::Status Take(const Stage& stage);
  absl::Status TakeGiven(const v1::CommittedVersion& version);
  absl::Status TakeMade(uint64_t step);
  absl::Status TakeBroadcast(uint64_t step, const v1::CommittedVersion* version);

  // At a follower: reads what has come. The leader's failure is an error.
  absl::Status Hear();
  absl::Status Read(Stage* stage);

  const DeviceWorkspaceOptions options_;
  const LayerTable& layers_;
  DeviceRuntime* const runtime_;
  std::atomic<bool> stopping_{false};

  DeviceStream training_ = nullptr;
  OwnedStream side_;
  OwnedEvent counted_;
  OwnedEvent drained_;
  CountBuffer* current_ = nullptr;  // of the step
  uint64_t next_stage_ = 0;
  // What went wrong first.
  absl::Status failure_;
  bool left_ = false;
  // Of a follower: what was heard last, and which step of; 0: nothing yet.
  StepReport heard_;
  uint64_t heard_step_ = 0;

  std::unique_ptr<DeviceReducer> reducer_;
  std::unique_ptr<EventWatch> watch_;
  // The last member: nothing of it is in use when it goes.
  std::unique_ptr<Memory> memory_;
};

}  // namespace evenkeel::client
