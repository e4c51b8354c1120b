#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/source/bias_source.h"
#include "client/source/continuation.h"
#include "evenkeel/v1/job.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/snapshot.h"

namespace evenkeel::client {

// This process commits, by the code of the coordinator: the same counts move the bias by the same bits. Waits for
// nothing but counts that are still on their way from a device, and remembers nothing: a job begins at step 1, or from
// the state that a checkpoint has.
class LocalSource : public BiasSource {
 public:
  // INVALID_ARGUMENT, naming field and value, when `spec` is no job. An absent balance config is the preset evenkeel.
  // It begins with `initial_bias` (job/initial_bias.h). `ranks`: those of the group whose sums are pushed.
  static absl::StatusOr<std::unique_ptr<LocalSource>> Make(const v1::JobSpec& spec,
                                                           absl::Span<const float> initial_bias = {},
                                                           std::vector<int> ranks = {});

  // Goes on from what `checkpoint` holds, with the config of `spec`. INVALID_ARGUMENT also for a state of other layers
  // (job/same_shape.h).
  static absl::StatusOr<std::unique_ptr<LocalSource>> MakeFrom(const v1::JobSpec& spec,
                                                               const job::SnapshotStates& checkpoint,
                                                               std::vector<int> ranks = {});

  // FAILED_PRECONDITION for another step than the one after the state.
  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  // Errors as of Continuation::Advance, or of CheckBias where a rank routed with another bias; for good.
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<v1::Snapshot> Save(uint64_t step, Deadline deadline) override;
  Backlog backlog() override { return {}; }

 private:
  LocalSource(job::JobPlan plan, job::JobState state, std::vector<int> ranks);

  void Remember(const v1::CommittedVersion& version);
  absl::Status Advance(StepCounts* counts);

  bool lags() const { return job_.plan().effective.lag() == 1; }

  Continuation job_;
  // With lag 1, the state before the newest, where there is one.
  std::optional<job::JobState> previous_;
  // Steps of the state that it began with, and of the first version.
  uint64_t began_after_ = 0;
  uint64_t first_version_ = 0;
  const std::vector<int> ranks_;
  // Checksums of the biases that route the next steps: with lag L the last 1 + L, or fewer at the beginning.
  std::deque<uint64_t> routing_;
  absl::Status outcome_;
  // Not given yet, ascending; more than one only with a lag.
  std::deque<v1::CommittedVersion> made_;
};

}  // namespace evenkeel::client
