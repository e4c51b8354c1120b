#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/source/bias_source.h"
#include "client/source/continuation.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::client {

// This process commits, by the code of the coordinator: the same counts move the bias by the same bits. Waits for
// nothing but counts that are still on their way from a device, and remembers nothing: a job begins at step 1.
class LocalSource : public BiasSource {
 public:
  // INVALID_ARGUMENT, naming field and value, when `spec` is no job. An absent balance config is the preset evenkeel.
  // It begins with `initial_bias` (job/initial_bias.h).
  static absl::StatusOr<std::unique_ptr<LocalSource>> Make(const v1::JobSpec& spec,
                                                           absl::Span<const float> initial_bias = {});

  // FAILED_PRECONDITION for another step than 1.
  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  // Errors as of Continuation::Advance, for good.
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  Backlog backlog() override { return {}; }

 private:
  LocalSource(job::JobPlan plan, job::JobState state) : job_(std::move(plan), std::move(state)) {}

  Continuation job_;
  absl::Status outcome_;
  // Not given yet, ascending; more than one only with a lag.
  std::deque<v1::CommittedVersion> made_;
};

}  // namespace evenkeel::client
