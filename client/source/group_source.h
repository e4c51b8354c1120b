#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/reduce/reducer.h"
#include "client/reduce/rendezvous.h"
#include "client/source/bias_source.h"
#include "client/source/group_outcome.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/group.pb.h"

namespace evenkeel::client {

// What a rank brings to its group.
struct GroupMember {
  int place = 0;  // 0 is the leader
  uint64_t incarnation = 0;
  uint64_t fingerprint = 0;  // of the job spec; equal on all ranks
};

// Who moves the bias by the sums of a group.
enum class Commits {
  kEveryRank,  // each by itself, by its `inner`: the same sums, the same bits
  kLeader,     // the leader by its `inner`, and it tells the others; they have none
};

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

  // `spec`, its layers sorted by name, is the job as all ranks of the group were told it. `inner` may be null where it
  // does not commit.
  GroupSource(const v1::JobSpec& spec, const GroupMember& member, Commits commits, std::unique_ptr<BiasSource> inner,
              std::unique_ptr<Rendezvous> rendezvous, MakeReducer make_reducer);
  ~GroupSource() override;

  // The leader joins first where it commits; then all ranks of the group meet. INVALID_ARGUMENT, naming the rank, where
  // one was told another job, or begins at another step.
  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) override;
  void Push(StepCounts* counts) override;
  absl::Status Await(Deadline deadline, v1::CommittedVersion* version) override;
  absl::Status Leave(Deadline deadline) override;

 private:
  bool leads() const { return member_.place == 0; }
  bool has_inner() const { return commits_ == Commits::kEveryRank || leads(); }

  v1::GroupHello Hello(uint64_t next_step, const absl::Status& status, const v1::JoinResponse& joined) const;
  absl::Status CheckHello(int place, const std::string& bytes, uint64_t next_step, v1::GroupHello* hello) const;

  // The committing thread.
  void Run();
  StepCounts* NextPush();
  absl::Status Commit(StepCounts* counts, v1::CommittedVersion* version);
  absl::Status EnsureReducer();
  absl::Status Lead(StepCounts* counts, v1::CommittedVersion* version);
  absl::Status Follow(v1::CommittedVersion* version);
  void Note(const absl::Status& obstacle);
  bool stopping();

  const v1::JobSpec spec_;
  const GroupMember member_;
  const Commits commits_;
  const std::unique_ptr<BiasSource> inner_;
  const std::unique_ptr<Rendezvous> rendezvous_;
  const MakeReducer make_reducer_;
  // The committing thread's. The reducer is null before the first commit.
  OutcomeFrame frame_;
  Reducer* reducer_ = nullptr;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // For whoever is to abort it.
  std::unique_ptr<Reducer> owned_reducer_ ABSL_GUARDED_BY(mutex_);
  // What is being committed, or null.
  StepCounts* push_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Why it is not committed yet.
  absl::Status obstacle_ ABSL_GUARDED_BY(mutex_);
  // How the last commit ended, and with what.
  absl::Status outcome_ ABSL_GUARDED_BY(mutex_);
  v1::CommittedVersion arrived_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace evenkeel::client
