#pragma once

#include "absl/status/status.h"
#include "client/source/step_counts.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/layer_table.h"
#include "job/step_sums.h"

namespace evenkeel::client {

// The bias of a job as this process moves it by itself, by the code of the coordinator (job/): the same counts move the
// same state by the same bits. Not thread-safe.
class Continuation {
 public:
  // From the beginning of a job, which job::InitialJobState made.
  Continuation(job::JobPlan plan, job::JobState state);
  // From a version of somebody else's. Of the state only the bias is known: averages begin anew, and schedules take
  // every step before for one that counted.
  Continuation(job::JobPlan plan, const v1::CommittedVersion& from);

  // Moves the bias by a step. Nothing is moved after an error.
  //   OUT_OF_RANGE      the step has more assignments at a layer than one update can take
  //   INVALID_ARGUMENT  a device has refused rows, or more was dispatched to an expert than was routed to it; the
  //   message
  //                     names the layer
  absl::Status Advance(const StepCounts& counts);

  // Of the last step.
  v1::CommittedVersion Version() const { return *job::CommittedVersionOf(plan_, state_); }

  const job::JobPlan& plan() const { return plan_; }
  const job::JobState& state() const { return state_; }

 private:
  absl::Status CheckSums() const;
  absl::Status CheckDispatched(uint64_t step) const;

  const job::JobPlan plan_;
  job::JobState state_;
  job::StepSums sums_;
};

// INVALID_ARGUMENT, naming the layer (of `layers`) and how many, when a device has refused rows.
absl::Status CheckRefused(const job::LayerTable& layers, const StepCounts& counts);

}  // namespace evenkeel::client
