#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/source/step_counts.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Where a worker routes and counts, and where its bias lies: in the memory of the host, or of a device. Addresses that
// are passed in are of that memory. `layer` is an index of the worker's LayerTable that it owns, and calls come in the
// order of StepOrder. Errors name the layer. For one thread at a time.
class Workspace {
 public:
  virtual ~Workspace() = default;

  // Between steps: makes `version` the current one.
  virtual absl::Status Adopt(const v1::CommittedVersion& version) = 0;

  // Makes `version` the one that routes; null where that stays what it was, or where the workspace makes it by itself.
  // Nothing is counted yet.
  virtual absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) = 0;
  // What the workspace has learned of the bias by itself since. An error is the leader's, for good.
  virtual absl::Status Report(StepReport* report) = 0;
  // There is no version to begin a step with, and never will be: for whoever waits for what this rank would tell it.
  virtual void Fail(const absl::Status& why) = 0;

  virtual absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments) = 0;
  virtual absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) = 0;
  virtual absl::Status Count(int layer, const Ids& ids) = 0;
  virtual absl::Status AddCounts(int layer, const uint64_t* counts, uint64_t valid_tokens, uint64_t short_slots) = 0;

  // Ends the step: what was counted in it, which may be still on its way.
  virtual absl::StatusOr<StepCountsPtr> Commit(uint64_t step, bool ok) = 0;

  // Ends what waits for counts that are on their way, with CANCELLED.
  virtual void Stop() = 0;

  // FAILED_PRECONDITION on the host.
  virtual absl::Status SetStream(void* stream) = 0;

  // Of any layer; float32 [num_experts], always at the same address.
  virtual const float* bias(int layer) const = 0;
};

}  // namespace evenkeel::client
