#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/log_event.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/error_detail.pb.h"
#include "job/config_timeline.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/move.h"
#include "job/snapshot.h"
#include "server/core/attendance.h"
#include "server/core/contribution.h"
#include "server/core/effects.h"
#include "server/core/fleet.h"
#include "server/core/invariants.h"
#include "server/core/record.h"
#include "server/core/rewind_wishes.h"

namespace evenkeel::core {

// States of earlier steps that an event was said to need, ascending; those that are not remembered are missing.
using History = std::vector<v1::JobState>;

// One job: who its contributors are, the open step, and the state of the last committed one. A state machine without
// clock, disk, network or threads; its callers bring the time and carry out the effects.
//
//   slot of a contributor:   free --Join--> held --Leave--> free
//                                            held --Join of a new incarnation--> held (the old one is replaced)
//   open step:               waiting for pushes --attendance.h says that it can be--> committed; the next step opens
//                                               --attendance.h says that it cannot be--> failed: who took part is told
//                                               to end; the step waits for new incarnations
//                            any --all ask to go on from another state, or PutState--> that after this state; all
//                            join again, in a new epoch
//
// Time only goes forward: an event that is told an earlier time than one before is taken to come at that one's.
//
// Errors are ServiceErrors whose reasons bias_coordinator.proto explains.
class Job {
 public:
  // A job that its first contributor has just made, and begins with that bias; the write that records it is added to
  // `effects`. INVALID_ARGUMENT from initial_bias.h.
  static absl::StatusOr<Job> Create(absl::Time now, job::JobPlan plan, absl::Span<const float> initial_bias,
                                    Effects* effects);

  // A job as the store remembers it, in its next epoch; the write that records the epoch is added to `effects`.
  // DATA_LOSS when the record does not fit together, or a state that it needs is missing.
  static absl::StatusOr<Job> Restore(absl::Time now, const JobRecord& record, Effects* effects);

  // `plan` is the plan of request.job(); whatever does not depend on the job has been checked. `history` has the states
  // that StatesFor(request) names.
  absl::StatusOr<v1::JoinResponse> Join(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request,
                                        Effects* effects, const History& history = {});
  // Steps; none but for a Join that, at that time, is the last to ask for a rewind.
  std::vector<uint64_t> StatesFor(absl::Time now, const v1::JoinRequest& request) const;

  // A snapshot of the state after `step` (absent: the newest), of the states that SnapshotSteps(step) names.
  //   FAILED_PRECONDITION  FUTURE_STEP: it is not committed; STATE_UNKNOWN: it is not remembered any more
  absl::StatusOr<v1::Snapshot> Snapshot(std::optional<uint64_t> step, const History& states) const;
  absl::StatusOr<std::vector<uint64_t>> SnapshotSteps(std::optional<uint64_t> step) const;

  // Goes on from `states`, in a new epoch, with the spec as it is: whoever contributes is to join again.
  // INVALID_ARGUMENT from job/same_shape.h.
  absl::Status PutState(absl::Time now, const job::SnapshotStates& states, Effects* effects);
  // Of a job that was just made, to go on from `state`: the changes of its config are this job's.
  absl::Status TakeConfig(const v1::JobState& state);

  // Judges one push. The answer for `call` is in `effects` now or, when the push is counted and the step still waits
  // for others, in those of a later event. Takes the counts out of `push`.
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Effects* effects);

  absl::Status Leave(absl::Time now, const v1::LeaveRequest& request, Effects* effects);

  // A contributor is alive. Errors as of Push.
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(absl::Time now, const v1::HeartbeatRequest& request,
                                                  Effects* effects);

  // Time has passed: names stragglers, and does what is to be done about who is missing.
  void Tick(absl::Time now, Effects* effects);

  // Adds the write with which the job expires, and true; false, and nothing, where a call waits. The caller forgets it.
  bool Expire(absl::Duration unused, Effects* effects) const;

  // Changes how steps to come are balanced, takes a change back, or ends a halt; what has changed is written at once. A
  // request that changes nothing more, for it came before, is answered likewise. Errors of job::ConfigTimeline.
  absl::StatusOr<v1::UpdateConfigResponse> UpdateConfig(absl::Time now, const v1::UpdateConfigRequest& request,
                                                        Effects* effects);

  // The caller of `call` has gone: it is not answered any more. Its counts stay.
  void Cancel(CallId call);

  // Answers every parked call with `status`.
  void AnswerAll(const absl::Status& status, Effects* effects);

  v1::JobState State() const;
  v1::JobSummary Summary() const;
  // Summary, halt and violations, without spec, contributors and layers.
  v1::DescribeJobResponse Overview() const;
  v1::DescribeJobResponse Describe() const;
  core::Fleet Fleet() const;

  const std::string& name() const { return plan_.effective.name(); }
  uint64_t epoch() const { return epoch_; }
  const v1::Version& version() const { return state_.version; }
  uint64_t committed_step() const { return state_.version.step(); }
  uint64_t open_step() const { return committed_step() + 1; }
  // When somebody last pushed or joined.
  absl::Time last_used() const { return last_used_; }

 private:
  // One contributor's place.
  struct Slot {
    v1::Member member;
    // Whether the incarnation has joined in this epoch.
    bool joined = false;
    // Null while the slot is free.
    std::shared_ptr<const v1::WorkerInfo> worker;
    // Of its last heartbeat.
    std::optional<v1::WorkerFigures> figures;
    // Rows that it counts, ascending.
    std::vector<int> owned;
    // Its push of the open step.
    bool pushed = false;
    bool ok = true;
    v1::Version routed_with;
    bool provisional = false;
    bool counts_lost = false;
    bool replayed = false;
    uint64_t payload_hash = 0;
    Contribution contribution;
    RankEvidence evidence;
    // As in Attendance.
    bool failed = false;
    bool late = false;
    uint64_t first_step = 0;
    absl::Time heard = absl::InfinitePast();
    absl::Time last_push = absl::InfinitePast();
    // The last step of which counts of it were refused; 0: none.
    uint64_t refused_step = 0;
    // Calls that wait for the commit.
    std::vector<CallId> calls;
    // The payload it last committed, and of which step; 0 when this epoch has not seen it.
    uint64_t committed_hash = 0;
    uint64_t committed_step = 0;
  };

  Job(job::JobPlan plan, job::JobState state);

  absl::Status RestoreEarlier(const JobRecord& record);

  // The spec as it is in force for the open step.
  v1::JobSpec InForce() const;

  // Who is here, and what is to be done about who is not.
  void SetNow(absl::Time now) { now_ = std::max(now_, now); }
  WaitingRules Rules() const;
  OpenStep Open() const { return {open_step(), first_push_, grace_until_}; }
  // Of all contributors, now.
  std::vector<StateKind> States(const WaitingRules& rules) const;
  // A line for the log; the job's name is put before `sentence`.
  void Notice(LogEvent::Level level, const char* event, absl::string_view sentence, Effects* effects) const;
  void BeginGrace();
  // Commits the open step, or fails the job, where it is time to.
  void Review(Effects* effects);
  int CountExcused(const WaitingRules& rules, absl::Span<const StateKind> states) const;
  void NameLost(absl::Span<const StateKind> states, Effects* effects);
  void NoteAllJoined(Effects* effects);
  void NameStragglers(const WaitingRules& rules, absl::Span<const StateKind> states, Effects* effects);
  void CommitWithout(const WaitingVerdict& verdict, absl::Span<const StateKind> states, Effects* effects);
  void Fail(const WaitingVerdict& verdict, Effects* effects);
  // Once nobody is left who was told of it.
  void ForgetFailure();

  absl::Status Error(absl::StatusCode code, v1::ErrorDetail::Reason reason, absl::string_view message) const;
  // An error of a part that does not know the job, with what this one adds.
  absl::Status WithJob(const absl::Status& error) const;

  // Join, in its parts.
  absl::Status CheckSpec(const job::JobPlan& plan) const;
  absl::Status CheckInitialBias(const v1::JoinRequest& request) const;
  absl::Status CheckRanks(const v1::JoinRequest& request) const;
  absl::Status CheckNextStep(const Slot& slot, const v1::JoinRequest& request) const;
  absl::Status CheckCoverage(int contributor, const std::vector<int>& owned) const;
  absl::Status CheckWorld(const v1::JoinRequest& request) const;
  void TakeSlot(const v1::JoinRequest& request, std::vector<int> owned, Slot* slot, Effects* effects);

  // Join with rewind, and PutState, in their parts.
  bool AsksToGoBack(const v1::JoinRequest& request) const;
  absl::Status Rewind(const v1::JoinRequest& request, const History& history, Effects* effects);
  absl::Status CheckShape(const job::SnapshotStates& states) const;
  absl::Status CheckSameBias(const BroughtStates& brought, const job::JobState& ours) const;
  // Who must ask for a step before the job goes there.
  std::vector<int> ExpectedToAsk(absl::Time now, int asking) const;
  absl::Status GoBack(uint64_t step, const History& history, Effects* effects);
  absl::Status GoOnFrom(const v1::JobState& state, absl::Span<const v1::JobState> earlier, bool begins_anew,
                        absl::string_view origin, Effects* effects);
  void StartOver(Effects* effects);
  absl::Status StateUnknown(uint64_t step) const;

  // Push, in its parts.
  absl::Status CheckSender(int contributor, uint64_t incarnation, uint64_t epoch) const;
  // Where a contributor of this job says so: a coordinator of a later epoch has it, and nothing is decided here any
  // more without anybody.
  void NoteSuccessor(const absl::Status& status, int contributor, uint64_t incarnation, Effects* effects);
  // The kept version of that step, or null.
  const VersionRecord* Kept(uint64_t step) const;
  // The version that is due for the open step.
  v1::Version Due() const;
  bool Knows(const v1::Version& version) const;
  absl::Status CheckRoutedWith(const v1::PushRequest& push) const;
  bool MayJoinMove(const v1::PushRequest& push) const;
  absl::Status CheckRoom(const Slot& slot, bool may_join) const;
  PushResult AnswerLate(const Slot& slot, CallId call, const v1::PushRequest& push, Effects* effects) const;
  PushResult AnswerRepeated(CallId call, uint64_t payload_hash, Slot* slot, Effects* effects) const;
  // Tells of counts that were refused, once of a contributor and step.
  void NoteRefusal(const absl::Status& status, Slot* slot, Effects* effects) const;
  // Tells of what was found outside of a step, in a state that has just become the job's: records it there, and halts
  // the job from the open step on where its policy says so. The caller writes the state.
  void Report(std::vector<v1::Violation> violations, Effects* effects);
  job::CommitInputs Inputs() const;
  v1::Version OldestRoutedWith() const;
  // The open step, with the pushes that are here.
  void Commit(Effects* effects);

  void Withdraw(Slot* slot);
  Write MemberWrite(const Slot& slot) const;

  // As it was in force for the last commit.
  job::JobPlan plan_;
  job::ConfigTimeline timeline_;
  job::JobState state_;
  // That led to the state.
  job::Move move_;
  uint64_t epoch_ = 1;
  // The reply to the last committed step (or the initial bias), shared by everyone who asks.
  std::shared_ptr<const v1::CommittedVersion> reply_;
  // With lag 1, that to the step before; null where there is none.
  std::shared_ptr<const v1::CommittedVersion> previous_;
  std::vector<VersionRecord> versions_;
  std::vector<Slot> slots_;
  RewindWishes wishes_;
  job::StepSums sums_;
  int pushed_ = 0;
  // Whether a push of the open step may make it join the move.
  bool may_join_ = false;
  // Of the newest event; of the open step's first push; and the end of the grace.
  absl::Time now_ = absl::InfinitePast();
  absl::Time first_push_ = absl::InfiniteFuture();
  absl::Time grace_until_ = absl::InfinitePast();
  absl::Time last_used_ = absl::InfinitePast();
  // Contributors that the open step is not expected to wait for, as of the last review.
  int excused_ = 0;
  std::vector<int> stragglers_;
  // Those that a line was last written about.
  std::vector<int> told_stragglers_;
  std::vector<int> told_missing_;
  std::vector<int> told_lost_;
  bool told_all_joined_ = false;
  // As of the last tick that told of a change; who pushes in time is no change.
  std::vector<StateKind> shown_states_;
  std::vector<int> shown_stragglers_;
  bool has_successor_ = false;
  // OK while the job has not failed.
  absl::Status failure_;
};

}  // namespace evenkeel::core
