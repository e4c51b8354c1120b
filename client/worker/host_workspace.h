#pragma once

#include <vector>

#include "client/worker/counting.h"
#include "client/worker/layer_table.h"
#include "client/worker/workspace.h"

namespace evenkeel::client {

// A Workspace in the memory of the host: everything is done when a call returns.
class HostWorkspace : public Workspace {
 public:
  // `layers` outlives it. Of a rank at `place` of a group of `ranks`.
  explicit HostWorkspace(const LayerTable* layers, int place = 0, int ranks = 1);

  absl::Status Adopt(const v1::CommittedVersion& version) override;
  absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) override;
  absl::Status Leave(const v1::CommittedVersion* version, Deadline deadline) override;
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
  absl::StatusOr<StepCountsPtr> Commit(uint64_t step, const StepEnd& end) override;
  void Stop() override {}
  absl::Status SetStream(void* stream) override;
  const float* bias(int layer) const override { return &bias_[layers_[layer].offset]; }

 private:
  const LayerTable& layers_;
  const int place_;
  std::vector<LayerCounts> counts_;      // by row
  std::vector<LayerCounts> dispatched_;  // likewise; of no experts where it is not counted
  std::vector<LayerCounts> counts_before_capture_;
  std::vector<LayerCounts> dispatched_before_capture_;
  std::vector<float> bias_;  // [total experts], in protocol order
  StepCountsPool pool_;
};

// Writes what was counted, and what of it a capacity limit left, of each row into `step`.
void CopyCounts(const std::vector<LayerCounts>& counts, const std::vector<LayerCounts>& dispatched, StepCounts* step);

}  // namespace evenkeel::client
