#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/source/bias_source.h"
#include "evenkeel/v1/job.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::client {

// This process commits, by the code of the coordinator (job/): the same counts move the bias by the same bits. Waits
// for nothing, and remembers nothing: a job begins at step 1 with a bias of 0.
class LocalSource : public BiasSource {
 public:
  // INVALID_ARGUMENT, naming field and value, when `spec` is no job. An absent balance config is the preset evenkeel.
  static absl::StatusOr<std::unique_ptr<LocalSource>> Make(const v1::JobSpec& spec);

  // FAILED_PRECONDITION for another step than 1.
  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCounts* counts) override;
  // OUT_OF_RANGE, for good, when the step had more assignments at a layer than one update can take.
  absl::Status Await(Deadline deadline, v1::CommittedVersion* version) override;
  absl::Status Leave(Deadline deadline) override;

 private:
  explicit LocalSource(job::JobPlan plan);

  absl::Status CheckSums() const;

  const job::JobPlan plan_;
  job::JobState state_;
  job::StepSums sums_;
  absl::Status outcome_;
};

}  // namespace evenkeel::client
