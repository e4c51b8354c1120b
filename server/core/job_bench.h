#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "job/reference_model.h"
#include "server/core/effects.h"
#include "server/core/job.h"
#include "server/core/simulation/disk.h"

namespace evenkeel::core {

using Reply = absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>>;

// A job under test with a disk and honest contributors. Events go in; what they ask for is carried out at once, writes
// before answers; answers are kept by call.
class JobBench {
 public:
  // `owned`: the rows of each contributor; empty when each has all. `one_skip_in`: as the model has it.
  explicit JobBench(const v1::JobSpec& spec, std::vector<std::vector<int>> owned = {}, uint64_t one_skip_in = 0);

  // The incarnation that contributors have unless a test says otherwise.
  static uint64_t Usual(int contributor) { return 100 + contributor; }

  // What an honest contributor sends to join for the open step.
  v1::JoinRequest JoinOf(int contributor) const;
  absl::StatusOr<v1::JoinResponse> Join(const v1::JoinRequest& request);
  absl::StatusOr<v1::JoinResponse> Join(int contributor, uint64_t incarnation);
  // Every contributor, in its usual incarnation.
  void JoinAll();
  absl::Status Leave(int contributor, uint64_t incarnation);

  // What an honest contributor sends for `step`: the model's counts, in the newest epoch, routed with the version that
  // is due.
  v1::PushRequest PushOf(int contributor, uint64_t step) const;
  absl::StatusOr<v1::UpdateConfigResponse> UpdateConfig(v1::UpdateConfigRequest request);
  // What IsAt expects from then on: that the job is balanced as these specs say, each from the commit of its step on.
  void ExpectBalancing(const std::map<uint64_t, v1::JobSpec>& specs);

  // Changes what contributors do, and what IsAt expects of it.
  void Change(const std::function<void(job::ReferenceModel::Options*)>& change);

  // Returns the call's name.
  CallId Push(v1::PushRequest push);
  CallId Push(int contributor, uint64_t step) { return Push(PushOf(contributor, step)); }
  // Every contributor pushes the open step.
  void PushAll();
  void PushAllUntil(uint64_t step);

  // In its usual incarnation.
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(int contributor);

  absl::StatusOr<v1::Snapshot> Snapshot(std::optional<uint64_t> step) const;
  absl::Status PutState(const job::SnapshotStates& states);

  bool IsWaiting(CallId call) const { return answers_.count(call) == 0; }
  const Reply& AnswerTo(CallId call) const { return answers_.at(call); }
  // Of the last Push.
  PushResult result() const { return result_; }
  const std::vector<CommitEvent>& commits() const { return commits_; }
  // How often all were told to have joined; and what else was told.
  int times_all_joined() const { return times_all_joined_; }
  const std::vector<std::string>& notices() const { return notices_; }
  const std::vector<ViolationEvent>& violations() const { return violations_; }

  // The coordinator goes, and comes back with what the disk holds.
  void Restart();
  // Lets time pass, and tells the job so.
  void Wait(absl::Duration time);

  Job& job() { return *job_; }
  const job::JobPlan& plan() const { return plan_; }
  const JobRecord& disk() const { return *disk_.Find(plan_.effective.name()); }
  const job::ReferenceModel& model() const { return *model_; }
  // The job's state equals the model's after `step`, bit for bit, epochs, the list of changes and what is kept of the
  // move aside.
  bool IsAt(uint64_t step) const;

  // Carries out `effects`.
  void Carry(Effects effects);

  // Who is told of writes from now on, once they are on disk.
  void OnDurable(std::function<void(const std::vector<Write>&)> listener) { on_durable_ = std::move(listener); }

 private:
  const v1::JobSpec spec_;
  const job::JobPlan plan_;
  const std::vector<std::vector<int>> owned_;
  job::ReferenceModel::Options options_;
  std::optional<job::ReferenceModel> model_;
  // As they were accepted.
  job::ReferenceModel::Deliveries deliveries_;
  simulation::Disk disk_;
  std::function<void(const std::vector<Write>&)> on_durable_;
  std::optional<Job> job_;
  absl::Time now_ = absl::UnixEpoch();
  CallId next_call_ = 1;
  PushResult result_ = PushResult::kRefused;
  std::map<CallId, Reply> answers_;
  std::vector<CommitEvent> commits_;
  int times_all_joined_ = 0;
  std::vector<std::string> notices_;
  std::vector<ViolationEvent> violations_;
};

}  // namespace evenkeel::core
