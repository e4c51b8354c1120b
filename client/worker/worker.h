#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/device/cuda_runtime.h"
#include "client/device/device_runtime.h"
#include "client/reduce/nccl_library.h"
#include "client/source/bias_source.h"
#include "client/worker/layer_table.h"
#include "client/worker/micro_batches.h"
#include "client/worker/step_order.h"
#include "client/worker/workspace.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What the public headers promise of a worker; evenkeel.h and worker.h say what each call does, and how it fails.
class Worker {
 public:
  // Makes the runtime of a device, for workers that have one.
  using MakeRuntime = absl::StatusOr<std::unique_ptr<DeviceRuntime>> (*)(int device);

  static absl::StatusOr<std::unique_ptr<Worker>> Join(const WorkerOptions& options,
                                                      MakeRuntime make_runtime = MakeCudaRuntime);
  ~Worker();

  absl::Status BeginStep(uint64_t step);
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments);
  absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients);
  absl::Status Count(int layer, const Ids& ids);
  absl::Status AddCounts(int layer, const Counts& counts);
  absl::Status CountDispatched(int layer, const Ids& ids);
  absl::Status AddDispatched(int layer, const Counts& counts);
  absl::Status SetCounting(Counting counting);
  absl::Status BeginCapture();
  absl::Status EndCapture();
  absl::Status Commit(uint64_t step, bool ok);
  absl::Status Leave();
  // Lives until the next call.
  absl::StatusOr<const std::string*> SaveState();
  absl::Status SetStream(void* stream) { return workspace_->SetStream(stream); }

  const float* bias(int layer, int stream = 0) const;
  const StepReport& report() const { return report_; }
  const std::string& summary() const { return summary_; }

 private:
  Worker(const WorkerOptions& options, LayerTable layers);

  // That the index is a layer's, and the layer this worker's, and has the stream.
  absl::Status CheckRow(absl::string_view call, int layer, int stream) const;
  // That `call` may route or count at that row now; and what was dispatched of it.
  absl::Status CheckCounting(absl::string_view call, int layer, int stream) const;
  absl::Status CheckDispatching(absl::string_view call, int layer, int stream) const;
  // That what Route is given is of the kind of counting that goes on.
  absl::Status CheckReplay(const Tokens& tokens) const;
  // What micro_batches_ calls that row; and what was dispatched of it.
  int RoutedRow(int layer, int stream) const { return layers_[layer].first_row + stream; }
  int DispatchedRow(int layer, int stream) const { return layers_.total_rows() + RoutedRow(layer, stream); }
  // Lets `call`, a function of bool, count at `row` of `layer`; or not, when nothing is to be counted, or that
  // micro-batch has been.
  template <typename Call>
  absl::Status CountOnce(int layer, int row, int64_t micro_batch, Call call);
  absl::Status BeginDryRun(uint64_t step);
  // Tells how the commit of `step` went.
  void Tell(uint64_t step, std::chrono::nanoseconds commit_host_time);
  // Tells of version_, which is the current one now.
  void Adopt();
  // Tells what is known of the version that routes `step`.
  absl::Status Report(uint64_t step);
  // What Await or Leave of the source gave for `step`; an error that is final, the workspace is told of, too.
  absl::StatusOr<bool> Given(uint64_t step, absl::StatusOr<bool> is_new);

  const std::chrono::milliseconds patience_;
  const std::function<void(const WorkerFigures&)> on_commit_;
  // Where the job has the state; empty: this process, or its group, has it.
  const std::string coordinator_;
  const std::string job_;
  // The first that is waited for and delivered; those before it the job has been through.
  uint64_t first_step_;
  const LayerTable layers_;
  StepOrder order_;
  MicroBatches micro_batches_;  // by the caller's index of the layer
  int lag_ = 0;
  uint64_t first_version_ = 0;
  // The source has given its last version, and the workspace may still wait.
  bool source_left_ = false;
  // A device that makes its versions by itself is never behind.
  bool makes_versions_ = false;
  StepReport report_;
  std::string summary_;
  std::string saved_;
  // Kept from step to step for its memory.
  v1::CommittedVersion version_;

  std::unique_ptr<DeviceRuntime> runtime_;  // null on the host
  std::unique_ptr<const NcclLibrary> nccl_;
  std::unique_ptr<Workspace> workspace_;
  // The last member, for its threads read what comes from the workspace.
  std::unique_ptr<BiasSource> source_;
};

}  // namespace evenkeel::client
