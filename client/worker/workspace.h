#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/deadline.h"
#include "client/source/step_counts.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// How a step ended on a worker.
struct StepEnd {
  bool ok = true;         // the optimizer step was taken
  bool replayed = false;  // the tokens were routed elsewhere
};

// Where a worker routes and counts, and where its bias lies: in the memory of the host, or of a device. Addresses that
// are passed in are of that memory. `layer` is an index of the worker's LayerTable that it owns, `stream` one of its
// streams, and calls come in the order of StepOrder. Errors name the layer. For one thread at a time.
class Workspace {
 public:
  // In place of a step: the leave.
  static constexpr uint64_t kLeaving = UINT64_MAX;

  virtual ~Workspace() = default;

  // Before the first step: makes `version` the current one.
  virtual absl::Status Adopt(const v1::CommittedVersion& version) = 0;

  // Makes `version` the one that routes; null where that stays what it was. A workspace that makes its versions by
  // itself, or hears of them from elsewhere, does so without. Nothing is counted yet.
  virtual absl::Status BeginStep(uint64_t step, const v1::CommittedVersion* version) = 0;
  // Likewise with the newest version, which is the last, and waits until nobody needs this rank any more.
  // DEADLINE_EXCEEDED when `deadline` comes first; may be called again, with null.
  virtual absl::Status Leave(const v1::CommittedVersion* version, Deadline deadline) = 0;
  // Of the bias that was begun with last: the step that `report` is of, which is `step` where versions are given, and
  // may be an earlier one where the workspace hears of them from elsewhere; these it writes into `report`.
  virtual absl::StatusOr<uint64_t> Report(uint64_t step, StepReport* report) = 0;
  // There is no version for `step` (or kLeaving), and never will be: for whoever waits for what this rank would
  // tell it.
  virtual void Fail(uint64_t step, const absl::Status& why) = 0;

  // A step of which nothing remains, by itself or for others: it counts as any, with the bias that there is.
  virtual absl::Status BeginDryRun(uint64_t step) = 0;
  virtual absl::Status EndDryRun() = 0;

  // `counts`: in a step only. Without it, what would be counted is not, and checked all the same (what arrays of a
  // device hold is not).
  virtual absl::Status Route(int layer, const Tokens& tokens, const Assignments& assignments, bool counts) = 0;
  virtual absl::Status RouteBackward(int layer, const Tokens& tokens, const Gradients& gradients) = 0;
  virtual absl::Status Count(int layer, const Ids& ids, bool counts) = 0;
  virtual absl::Status AddCounts(int layer, const Counts& given, bool counts) = 0;
  // Of layers that count what a capacity limit left.
  virtual absl::Status CountDispatched(int layer, const Ids& ids, bool counts) = 0;
  virtual absl::Status AddDispatched(int layer, const Counts& given, bool counts) = 0;

  // What the step counts between the two is taken back at the end.
  virtual absl::Status BeginCapture() = 0;
  virtual absl::Status EndCapture() = 0;

  // Ends the step: what was counted in it, which may be still on its way. After RESOURCE_EXHAUSTED it may be called
  // again; every other error is for good.
  virtual absl::StatusOr<StepCountsPtr> Commit(uint64_t step, const StepEnd& end) = 0;

  // Ends what waits for counts that are on their way, with CANCELLED.
  virtual void Stop() = 0;

  // FAILED_PRECONDITION on the host.
  virtual absl::Status SetStream(void* stream) = 0;

  // Of any layer; float32 [streams, num_experts], always at the same address.
  virtual const float* bias(int layer) const = 0;
};

}  // namespace evenkeel::client
