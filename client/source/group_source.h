#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/reduce/reducer.h"
#include "client/reduce/rendezvous.h"
#include "client/source/bias_source.h"
#include "client/source/group_meeting.h"
#include "client/source/group_outcome.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/group.pb.h"

namespace evenkeel::client {

// A group of ranks that reduce their counts among themselves: one reduction a step, and one broadcast where the leader
// commits. All ranks join, push and leave together.
//
// A rank that ends, or does not come, is an error on all others within the time that the reducer allows. An error is
// final on every rank.
class GroupSource : public BiasSource {
 public:
  // Makes the group's reducer, at the first commit, on the source's thread. It may be stopped by Reducer::Abort only
  // when it is there: it waits no longer than the reducer's own timeout.
  using MakeReducer = std::function<absl::StatusOr<std::unique_ptr<Reducer>>()>;

  // As GroupMeeting; `inner` is what this rank commits by, and null where it does not.
  GroupSource(const v1::JobSpec& spec, const GroupMember& member, Commits commits, std::unique_ptr<BiasSource> inner,
              std::unique_ptr<Rendezvous> rendezvous, MakeReducer make_reducer);
  ~GroupSource() override;

  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCountsPtr counts) override;
  absl::StatusOr<bool> Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) override;
  // All ranks of the group leave together.
  absl::StatusOr<bool> Leave(Deadline deadline, v1::CommittedVersion* version) override;
  absl::StatusOr<v1::Snapshot> Save(uint64_t step, Deadline deadline) override;
  // Of the inner source; 0 where there is none.
  Backlog backlog() override;
  void Tell(const WorkerFigures& figures) override {
    if (inner_ != nullptr) inner_->Tell(figures);
  }

 private:
  // What comes of a step: the version that routes the next one, when it is another than before.
  struct Outcome {
    uint64_t routes = 0;  // a step, or kLeaving
    bool is_new = false;
    v1::CommittedVersion version;
  };
  static constexpr uint64_t kLeaving = 0;

  // Waits for the outcome of that name, which comes after all others, and gives the newest version of them.
  bool IsHere(uint64_t routes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> Take(uint64_t routes, Deadline deadline, v1::CommittedVersion* version);

  // The committing thread.
  using Ask = absl::FunctionRef<absl::StatusOr<bool>(Deadline, v1::CommittedVersion*)>;
  void Run();
  // The next step, or null when the ranks leave. False when the source ends.
  bool NextTask(StepCountsPtr* counts);
  absl::StatusOr<bool> Commit(StepCountsPtr counts, v1::CommittedVersion* version);
  absl::StatusOr<bool> LeaveTogether(v1::CommittedVersion* version);
  absl::Status EnsureReducer();
  // Asks the inner source, for as long as it takes, and tells the group; and what the others hear.
  absl::StatusOr<bool> Tell(Ask ask, v1::CommittedVersion* version);
  absl::StatusOr<bool> Hear(v1::CommittedVersion* version);
  void Note(const absl::Status& obstacle);
  bool stopping();

  const v1::JobSpec spec_;
  const Commits commits_;
  GroupMeeting meeting_;
  const std::unique_ptr<BiasSource> inner_;
  const MakeReducer make_reducer_;
  // The committing thread's. The reducer is null before the first commit.
  OutcomeFrame frame_;
  Reducer* reducer_ = nullptr;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // For whoever is to abort it.
  std::unique_ptr<Reducer> owned_reducer_ ABSL_GUARDED_BY(mutex_);
  // Steps to be committed after the one under way; and whether the ranks leave after them.
  enum class Leaving { kNo, kAsked, kBegun };
  std::deque<StepCountsPtr> pushes_ ABSL_GUARDED_BY(mutex_);
  Leaving leaving_ ABSL_GUARDED_BY(mutex_) = Leaving::kNo;
  uint64_t committed_ ABSL_GUARDED_BY(mutex_) = 0;
  // Why the step under way is not committed yet.
  absl::Status obstacle_ ABSL_GUARDED_BY(mutex_);
  // Why nothing more is committed; and what has not been asked for yet.
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  std::deque<Outcome> outcomes_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace evenkeel::client
