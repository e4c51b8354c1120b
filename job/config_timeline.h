#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "evenkeel/v1/job.pb.h"
#include "google/protobuf/repeated_field.h"
#include "job/job_plan.h"

namespace evenkeel::job {

// How a job is balanced at every step, and waits for its contributors: what it was made with, and the changes since,
// each from a step on. A step is committed with what holds for it then, and nothing about a committed step changes any
// more. Plain data, no clock.
//
// Errors are ServiceErrors; after one the timeline is as it was.
class ConfigTimeline {
 public:
  // At most, what the job was made with included. Older changes are forgotten where there would be more, but none that
  // a kept version (kKeptVersions) was committed with or that may still come, and never the first.
  static constexpr int kMaxChanges = 64;

  // Of a job that was made with `plan`'s balancing.
  explicit ConfigTimeline(const JobPlan& plan);

  // As ToProto gave it; where `changes` is empty, the job was made with `plan`'s balancing. DATA_LOSS when a change is
  // none of this job's, or they do not ascend from 0.
  static absl::StatusOr<ConfigTimeline> FromProto(const JobPlan& plan,
                                                  const google::protobuf::RepeatedPtrField<v1::ConfigChange>& changes);

  // As JobState::changes has it: empty while there is nothing but what the job was made with.
  google::protobuf::RepeatedPtrField<v1::ConfigChange> ToProto() const;

  // What holds for the commit of `step`.
  const v1::ConfigChange& At(uint64_t step) const;

  // What the job was made with.
  const v1::ConfigChange& First() const { return changes_.front(); }

  // From patch.from_step on (0: the open step) what was to hold there, with the fields that are present in the patch's
  // balance, overrides, mode, membership and missing_policy on top; changes from later steps stay as they are. A change
  // from the same step is replaced. What changes nothing is not a change. `plan` is the job's, however it is balanced.
  //   FAILED_PRECONDITION  STEP_BEHIND: from_step is committed; the message names the open step
  //   INVALID_ARGUMENT     from PlanJob's checks; or the mode is neither BALANCE nor FROZEN, or is the job's for ever
  //   RESOURCE_EXHAUSTED   kMaxChanges of which none can be forgotten
  absl::Status Add(const JobPlan& plan, const v1::ConfigChange& patch, uint64_t open_step);

  // Takes the change from the latest step back: drops it where it is still to come, else goes back, from from_step on
  // (0: the open step), to what was before it; that is a change with this note.
  //   FAILED_PRECONDITION, RESOURCE_EXHAUSTED  as Add
  //   INVALID_ARGUMENT                         there is no change
  absl::Status Undo(uint64_t from_step, const std::string& note, uint64_t open_step);

 private:
  ConfigTimeline() = default;

  absl::Status Put(v1::ConfigChange change, uint64_t open_step);

  // Whole; ascending by from_step. Never empty.
  std::vector<v1::ConfigChange> changes_;
};

// `plan` balanced as the timeline has it for the commit of `step`.
JobPlan PlanAt(JobPlan plan, const ConfigTimeline& timeline, uint64_t step);

}  // namespace evenkeel::job
