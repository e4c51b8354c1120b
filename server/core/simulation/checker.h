#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/reference_model.h"
#include "server/core/effects.h"
#include "server/core/record.h"
#include "server/core/simulation/attendance_checker.h"
#include "server/core/simulation/journal.h"
#include "server/core/simulation/scenario.h"

namespace evenkeel::core::simulation {

// Holds one job against the contract after every event that could break it; breaches go to the journal.
//   - every state on disk is the reference's of its step, and each step is committed once
//   - nothing is answered that is not on disk, and a step is always answered with the same bytes
//   - epochs only grow, and none that somebody has heard of is used by a later life
//   - everybody who hears of a step hears of the same bias
//   - what attendance_checker.h has about contributors that are missing
//   - what cannot be right about a step is told, and nothing else
class JobChecker {
 public:
  // `journal` outlives the checker.
  JobChecker(const JobScenario& scenario, Journal* journal);

  const JobScenario& scenario() const { return scenario_; }
  const job::JobPlan& plan() const { return plan_; }

  // A process starts, in the so-manieth training.
  void OnProcess(uint64_t incarnation, uint64_t training) { training_of_[incarnation] = training; }
  // What that process counted in `step`.
  v1::PushRequest Payload(int contributor, uint64_t step, uint64_t incarnation) const;

  // The coordinator lives in `epoch` now, from what `record` holds: it has started, or the job has woken. Times are
  // the coordinator's.
  void OnLife(absl::Time now, uint64_t epoch, const JobRecord& record);
  // The coordinator gives a process its slot, in `epoch`.
  void OnJoin(absl::Time now, const v1::JoinRequest& request, uint64_t epoch);
  // The coordinator accepts a contributor's push of the open step. Until the step is on disk, a later one of the same
  // contributor takes its place: in a later life, or of a new incarnation.
  void OnAccepted(absl::Time now, const v1::PushRequest& push);
  // A step's commit, with the state that will be written, and what the coordinator tells of violations.
  void OnCommit(absl::Time now, const v1::JobState& state, const std::vector<ViolationEvent>& told);
  // The job expires, while so many calls wait.
  void OnExpiry(absl::Time now, absl::Duration expiry, int waiting);
  // After a write.
  void OnDisk(const JobRecord& record);
  // The coordinator lets a process leave.
  void OnLeave(const v1::LeaveRequest& request);
  AttendanceChecker& attendance() { return attendance_; }
  // An answer leaves the coordinator, on whose disk is `record`, or nothing of the job.
  void OnJoinAnswer(const v1::JoinRequest& request, const v1::JoinResponse& response, const JobRecord* record);
  void OnVersion(const v1::CommittedVersion& version, const JobRecord* record);
  void OnError(const absl::Status& status, const JobRecord* record);
  // All that the coordinator has decided is on disk: so its memory and its disk say the same.
  void OnRest(const v1::JobState& state, const v1::DescribeJobResponse& description, const JobRecord& record);
  // A contributor has received `version`.
  void OnHeard(const v1::CommittedVersion& version);

  // Whether the last step has been committed.
  bool IsComplete() const { return committed_.size() == scenario_.steps + 1; }

 private:
  struct Committed {
    VersionRecord version;
    std::string state;
    std::string reply;
  };

  template <typename... Words>
  void Complain(const Words&... words);
  void OnNewStep(const JobRecord& record);
  void OnWentBack(const JobRecord& record);
  void CountStep(const job::JobState& state);
  void CheckEarlier(const JobRecord& record);
  void CheckVersions(const JobRecord& record);
  void CheckMembers(const JobRecord& record);
  uint64_t DrawOf(uint64_t incarnation) const;
  void OnEpochAnswered(uint64_t epoch, const JobRecord* record);

  const JobScenario scenario_;
  const job::JobPlan plan_;
  const job::ReferenceModel model_;
  Journal* const journal_;

  // The last that the coordinator has accepted of each.
  job::ReferenceModel::Deliveries deliveries_;
  // By step: what the disk has held.
  std::vector<Committed> committed_;
  uint64_t disk_epoch_ = 0;
  // By incarnation.
  std::map<uint64_t, uint64_t> training_of_;
  AttendanceChecker attendance_;
  // When a process last joined or pushed, or the job came to life.
  absl::Time last_used_ = absl::InfinitePast();
  // What was committed, and answered, and is not so any more: replies, and epochs.
  std::set<std::string> undone_;
  std::set<uint64_t> left_epochs_;
  std::set<uint64_t> left_;
  // The latest epoch that anybody has heard of.
  uint64_t answered_epoch_ = 0;
};

}  // namespace evenkeel::core::simulation
