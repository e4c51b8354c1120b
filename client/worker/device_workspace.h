#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
  // Makes the group's reducer, at the first commit; null where counts are not summed on the device.
  std::function<absl::StatusOr<std::unique_ptr<DeviceReducer>>()> make_reducer;
  bool is_leader = true;
  // Within which the other ranks come to a collective.
  std::chrono::milliseconds timeout{600'000};
};

// A Workspace on a device. No call waits for it, but the first Commit, while the ranks of the group connect, and
// BeginStep, should the device be two versions behind.
//
//   training stream   wait(cleared) . wait(staged) . copy bias . route, count ... record(counted) . optimizer ...
//   side stream                                                   wait(counted) . sum . update . copy counts . clear
//                     copy or broadcast the version . record(staged)
//
// Counts alternate between two buffers, and staged biases between two, so that neither stream waits for the other in
// vain. Where other ranks have a part in what is enqueued, a thread finds out when they are lost: then all calls fail.
class DeviceWorkspace : public Workspace {
 public:
  // `layers` and `runtime` outlive it; `plan` is the job as it is in force. Errors of the runtime, and of DeviceJob.
  static absl::StatusOr<std::unique_ptr<DeviceWorkspace>> Make(DeviceWorkspaceOptions options, const LayerTable* layers,
                                                               const job::JobPlan& plan, DeviceRuntime* runtime);
  // Waits until the device is idle; where it waits for ranks that do not come, leaves the group.
  ~DeviceWorkspace() override;

  absl::Status Adopt(const v1::CommittedVersion& version) override;
  absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) override;
  void Fail(const absl::Status& why) override;
  absl::Status Report(StepReport* report) override;
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments) override;
  absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) override;
  absl::Status Count(int layer, const Ids& ids) override;
  absl::Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots) override;
  absl::StatusOr<StepCountsPtr> Commit(uint64_t step, bool ok) override;
  void Stop() override { stopping_ = true; }
  absl::Status SetStream(void* stream) override;
  const float* bias(int layer) const override { return bias_.data() + layers_[layer].offset; }

 private:
  using Versions = DeviceWorkspaceOptions::Versions;
  class PinnedCounts;

  // What a step counts into.
  struct CountBuffer {
    DeviceBuffer<uint64_t> sums;  // as StepCounts::sums()
    OwnedEvent cleared;           // on the side stream
  };
  // A version on its way to the bias.
  struct Stage {
    DeviceBuffer<char> host;    // a BiasFrame, pinned
    DeviceBuffer<char> device;  // likewise
    OwnedEvent copied;          // `device` holds what `host` held
    OwnedEvent staged;          // `device` holds the version
    OwnedEvent taken;           // the bias is that version
    DeviceBuffer<char> news;    // pinned: the frame's beginning, as a follower heard it
    OwnedEvent heard;
    bool has_news = false;
  };

  DeviceWorkspace(DeviceWorkspaceOptions options, const LayerTable* layers, DeviceRuntime* runtime);

  absl::Status Allocate(const job::JobPlan& plan);
  std::unique_ptr<StepCounts> MakeCounts();
  absl::Status EnsureReducer();
  // Whether all that is on the side stream runs in a little while.
  bool Idle();
  // Why nothing can be done any more.
  absl::Status Health();

  uint64_t* CountsOf(int layer) { return current_->sums.data() + layers_[layer].offset; }
  // A StepCounts::Totals.
  uint64_t* TotalsOf(int layer) { return current_->sums.data() + layers_.total_experts() + 3 * layers_[layer].place; }

  counting::CountOutput OutputFor(int layer);

  // The three ways of a version. Each leaves a stage that is staged.
  absl::Status StageMade(uint64_t step, const uint64_t* skips);
  absl::Status StageGiven(const v1::CommittedVersion& version, Stage* stage);
  absl::Status StageBroadcast(const v1::CommittedVersion* version, Stage* stage);
  // The stage that was used less recently, when its memory of the host is free.
  absl::StatusOr<Stage*> NextStage();
  absl::Status Upload(Stage* stage);
  // Makes a staged version the bias.
  absl::Status Take(const Stage& stage);
  absl::Status TakeMade(uint64_t step);
  absl::Status TakeBroadcast(const v1::CommittedVersion* version);

  const DeviceWorkspaceOptions options_;
  const LayerTable& layers_;
  DeviceRuntime* const runtime_;
  std::atomic<bool> stopping_{false};

  DeviceStream training_ = nullptr;
  OwnedStream side_;
  CountBuffer counting_[2];
  CountBuffer* current_ = nullptr;
  OwnedEvent counted_;
  DeviceBuffer<float> bias_;  // [total experts], in protocol order
  Stage stages_[2];
  uint64_t next_stage_ = 0;
  DeviceBuffer<uint64_t> one_;  // pinned
  std::optional<DeviceJob> job_;
  // Of a follower: what was heard last.
  absl::Status heard_;

  std::unique_ptr<DeviceReducer> reducer_;
  std::unique_ptr<EventWatch> watch_;
  // The last member, for its buffers wait for the rest.
  StepCountsPool pool_;
};

}  // namespace evenkeel::client
