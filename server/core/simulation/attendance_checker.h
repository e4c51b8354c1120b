#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "server/core/record.h"
#include "server/core/simulation/journal.h"

namespace evenkeel::core::simulation {

// Holds one job against what it promises about contributors that are missing; breaches go to the journal. It hears what
// the coordinator was told and what it answered, and never looks into it.
//   - a push counts only of the process that holds its slot, and has joined in the epoch
//   - WAIT and FAIL: no step is committed without a contributor
//   - COMMIT_WITHOUT: none is without one that has pushed, or that is alive and in time; and no step that enough have
//     pushed waits beyond its deadline, or for those alone that are lost, have left, or were left behind
//   - FAIL: no job fails while all are alive and in time, and none goes on beyond the deadline; the processes of a job
//     that has failed do not come back
//   - nobody is lost, and no deadline passes, in the grace after a start or a rewind
class AttendanceChecker {
 public:
  // `spec`: the effective one. `journal` outlives the checker.
  AttendanceChecker(const v1::JobSpec& spec, Journal* journal);

  // Nothing is known of the job any more: a life ended before it was on disk.
  void Forget();
  // Times are those that the coordinator was told, and do not fall. A life begins, from what `record` holds.
  void OnLife(absl::Time now, uint64_t epoch, const JobRecord& record);
  // The coordinator gives a process its slot, lets one leave, accepts a push, or answers otherwise in a way that shows
  // that it has heard of one: for certain, or perhaps.
  void OnJoin(absl::Time now, const v1::JoinRequest& request, uint64_t epoch);
  void OnLeave(const v1::LeaveRequest& request);
  void OnAccepted(absl::Time now, const v1::PushRequest& push);
  void OnHeardOf(absl::Time now, int contributor, uint64_t incarnation, bool for_certain);
  // Likewise, by a push that is not accepted.
  void OnPushOf(absl::Time now, int contributor, uint64_t incarnation, bool for_certain);
  // The open step is committed.
  void OnCommit(absl::Time now, uint64_t step);
  // Time has passed, and whatever came of it has been told.
  void OnTick(absl::Time now);
  // After every event of a job whose policy is FAIL.
  void OnSummary(absl::Time now, const v1::JobSummary& summary);

  // Of the open step, those whose pushes count.
  const std::set<int>& pushed() const { return pushed_; }

 private:
  struct Contributor {
    // Of the process that holds the slot; 0: nobody does. `epoch`: that it has joined in.
    uint64_t incarnation = 0;
    uint64_t epoch = 0;
    uint64_t first_step = 0;
    // Somebody has held the slot.
    bool known = false;
    bool left = false;
    // It was left behind, and has not pushed since: perhaps, and for certain while it was alive.
    bool late = false;
    bool surely_late = false;
    absl::Time heard = absl::InfinitePast();
    absl::Time perhaps_heard = absl::InfinitePast();
  };

  template <typename... Words>
  void Complain(const Words&... words);
  bool Holds(const Contributor& contributor) const {
    return contributor.incarnation != 0 && contributor.epoch == epoch_;
  }
  bool InGrace(absl::Time now) const { return now < grace_until_; }
  bool IsOverdue(absl::Time now) const { return !InGrace(now) && !pushed_.empty() && now >= first_push_ + deadline_; }
  // Whether it may be lost by now, and whether it must be; and whether no step has to wait for it.
  bool MayBeLost(const Contributor& contributor, absl::Time now) const;
  bool IsLost(const Contributor& contributor, absl::Time now) const;
  bool IsExcused(const Contributor& contributor, absl::Time now) const;
  bool MayBeLeftBehind(const Contributor& contributor, uint64_t step, absl::Time now) const;
  // A grace begins, and nobody has pushed.
  void Begin(absl::Time now, uint64_t epoch);
  void Withdraw(int contributor);
  void OnFailure(absl::Time now);

  const v1::JobSpec spec_;
  Journal* const journal_;
  const absl::Duration deadline_;
  const absl::Duration timeout_;

  uint64_t epoch_ = 0;
  absl::Time grace_until_ = absl::InfinitePast();
  std::vector<Contributor> contributors_;
  std::set<int> pushed_;
  absl::Time first_push_ = absl::InfiniteFuture();
  // Processes of a job that has failed, in this life.
  std::set<uint64_t> failed_;
};

}  // namespace evenkeel::core::simulation
