#pragma once

#include <vector>

#include "client/worker/layer_table.h"
#include "client/worker/workspace.h"
#include "kernels/counting/count.h"

namespace evenkeel::gpu_check {

// A Workspace of the plain routers and the plain counting, on memory of the host: what a device is held against. Not
// the HostWorkspace, whose routers load a library that gpu_check cannot carry.
class ReferenceWorkspace : public client::Workspace {
 public:
  // `layers` outlives it.
  explicit ReferenceWorkspace(const client::LayerTable* layers);

  absl::Status Adopt(const v1::CommittedVersion& version) override;
  absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) override;
  absl::Status Leave(const v1::CommittedVersion* version, client::Deadline deadline) override;
  absl::StatusOr<uint64_t> Report(uint64_t step, StepReport*) override { return step; }
  void Fail(uint64_t, const absl::Status&) override {}
  absl::Status BeginDryRun(uint64_t step) override { return BeginStep(step, /*version=*/nullptr); }
  absl::Status EndDryRun() override { return absl::OkStatus(); }
  absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments, bool counts) override;
  absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) override;
  absl::Status Count(int layer, const Ids& ids, bool counts) override;
  absl::Status AddCounts(int layer, const Counts& given, bool counts) override;
  absl::Status CountDispatched(int layer, const Ids& ids, bool counts) override;
  absl::Status AddDispatched(int layer, const Counts& given, bool counts) override;
  absl::Status BeginCapture() override;
  absl::Status EndCapture() override;
  absl::StatusOr<client::StepCountsPtr> Commit(uint64_t step, const client::StepEnd& end) override;
  void Stop() override {}
  absl::Status SetStream(void*) override { return absl::FailedPreconditionError("there is no device"); }
  const float* bias(int layer) const override { return &bias_[layers_[layer].offset]; }

 private:
  counting::CountOutput OutputFor(int layer, int stream);
  counting::CountOutput DispatchedOutputFor(int layer, int stream);

  const client::LayerTable& layers_;
  std::vector<float> bias_;  // [total experts], in protocol order
  client::StepCountsPool pool_;
  client::StepCountsPtr counts_;  // of the step
  std::vector<uint64_t> before_capture_;
  routing::RouteStats aside_;  // totals that are not the step's
};

}  // namespace evenkeel::gpu_check
