#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "server/core/effects.h"
#include "server/core/fleet.h"
#include "server/core/job.h"
#include "server/core/record.h"

namespace evenkeel::core {

// All jobs of one coordinator: every decision of the service, as a state machine without clock, disk, network or
// threads. Each method is one event; what is to be done about it is added to `effects`, whose order effects.h
// promises. Not thread-safe.
class Coordinator {
 public:
  // `config`: default_balance, limits and job_expiry_ms are read; what is absent has its default.
  explicit Coordinator(const v1::CoordinatorConfig& config);

  // Takes over what an earlier life left. Once, before any other event. DATA_LOSS when a record is damaged.
  absl::Status Restore(absl::Time now, const std::vector<JobRecord>& records, Effects* effects);

  // The returned response may be sent when `effects` have been carried out. `history` has the states that
  // StatesFor(request) names.
  absl::StatusOr<v1::JoinResponse> Join(absl::Time now, const v1::JoinRequest& request, Effects* effects,
                                        const History& history = {});
  std::vector<uint64_t> StatesFor(absl::Time now, const v1::JoinRequest& request) const;

  // The answer for `call` is in the effects of this event or of a later one.
  PushResult Push(absl::Time now, CallId call, v1::PushRequest* push, Effects* effects);

  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(absl::Time now, const v1::HeartbeatRequest& request,
                                                  Effects* effects);

  absl::Status Leave(absl::Time now, const v1::LeaveRequest& request, Effects* effects);

  // Time has passed, for all jobs: to come a few times in every second, however little happens. Jobs that have not been
  // used for config.job_expiry_ms expire.
  void Tick(absl::Time now, Effects* effects);

  // Whether the job is here; one that has expired is not, until it is restored by itself.
  bool Has(const std::string& job) const { return jobs_.count(job) > 0; }
  // Takes over a job that had expired. DATA_LOSS as Restore; RESOURCE_EXHAUSTED where limits.max_jobs are here.
  absl::Status Wake(absl::Time now, const JobRecord& record, Effects* effects);

  absl::StatusOr<v1::UpdateConfigResponse> UpdateConfig(absl::Time now, const v1::UpdateConfigRequest& request,
                                                        Effects* effects);

  // The caller of `call` has gone.
  void Cancel(const std::string& job, CallId call);

  // Answers all parked calls with UNAVAILABLE (SHUTTING_DOWN): their senders push again to the next life.
  void ShutDown(Effects* effects);

  // The snapshot of a state, made of those that StatesFor(request) names: errors of Job::Snapshot, and JOB_UNKNOWN.
  absl::StatusOr<v1::GetStateResponse> GetState(const v1::GetStateRequest& request, const History& states) const;
  absl::StatusOr<std::vector<uint64_t>> StatesFor(const v1::GetStateRequest& request) const;

  // Errors of Job::PutState and, where it makes the job, of job::PlanJob.
  absl::StatusOr<v1::PutStateResponse> PutState(absl::Time now, const v1::PutStateRequest& request, Effects* effects);

  absl::StatusOr<v1::JobState> State(const std::string& job) const;
  // As Job::Overview.
  absl::StatusOr<v1::DescribeJobResponse> Overview(const std::string& job) const;
  absl::StatusOr<v1::DescribeJobResponse> Describe(const std::string& job) const;
  absl::StatusOr<core::Fleet> Fleet(const std::string& job) const;
  v1::ListJobsResponse List() const;

 private:
  absl::StatusOr<Job*> FindJob(const std::string& name);
  absl::StatusOr<const Job*> FindJob(const std::string& name) const;
  absl::StatusOr<Job*> FindOrCreate(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request,
                                    Effects* effects);
  absl::Status CheckRoom(const std::string& name) const;
  absl::StatusOr<Job*> Create(absl::Time now, const job::JobPlan& plan, absl::Span<const float> initial_bias,
                              Effects* effects);
  absl::StatusOr<Job*> CreateFrom(absl::Time now, const job::JobPlan& plan, const BroughtStates& brought,
                                  Effects* effects);
  absl::Status AwaitStates(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request);

  const v1::BalanceConfig default_balance_;
  const v1::Limits limits_;
  const absl::Duration job_expiry_;
  std::map<std::string, Job> jobs_;
  // To go on with jobs that are not here: somebody has to bring their state.
  std::map<std::string, RewindWishes> wishes_;
};

}  // namespace evenkeel::core
