#include "server/core/coordinator.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "job/job_plan.h"

namespace evenkeel::core {
namespace {

constexpr uint32_t kProtocolVersion = 1;

absl::Status JobUnknown(const std::string& name) {
  return ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN,
                      absl::StrCat("no job \"", absl::CHexEscape(name), "\" is known here"));
}

// What can be said of a Join without knowing the job.
absl::Status CheckJoin(const v1::JoinRequest& request) {
  if (request.protocol_version() != kProtocolVersion) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("protocol_version is ", request.protocol_version(), "; this coordinator speaks ",
                                     kProtocolVersion));
  }
  if (request.incarnation() == 0) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        "incarnation is 0; it must be a random number other than 0");
  }
  if (request.next_step() == 0) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        "next_step is 0; steps count from 1");
  }
  if (request.rewind() || request.catch_up()) {
    return ServiceError(absl::StatusCode::kUnimplemented, v1::ErrorDetail::NOT_SUPPORTED,
                        "rewind and catch_up are not built yet; resume at the open step or use another job name");
  }
  return absl::OkStatus();
}

}  // namespace

Coordinator::Coordinator(const v1::CoordinatorConfig& config)
    : default_balance_(config.default_balance()), limits_(job::WithDefaults(config.limits())) {}

absl::Status Coordinator::Restore(const std::vector<JobRecord>& records, Effects* effects) {
  for (const JobRecord& record : records) {
    EVENKEEL_ASSIGN_OR_RETURN(Job job, Job::Restore(record, effects));
    const std::string name = job.name();
    jobs_.emplace(name, std::move(job));
  }
  return absl::OkStatus();
}

absl::StatusOr<Job*> Coordinator::FindJob(const std::string& name) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return JobUnknown(name);
  return &found->second;
}

absl::StatusOr<const Job*> Coordinator::FindJob(const std::string& name) const {
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return JobUnknown(name);
  return &found->second;
}

absl::StatusOr<Job*> Coordinator::FindOrCreate(const job::JobPlan& plan, const v1::JoinRequest& request,
                                               Effects* effects) {
  const std::string& name = plan.effective.name();
  const auto found = jobs_.find(name);
  if (found != jobs_.end()) return &found->second;
  if (static_cast<int>(jobs_.size()) >= limits_.max_jobs()) {
    return ServiceError(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED,
                        absl::StrCat("job \"", name, "\" would be one more than this coordinator's limits.max_jobs of ",
                                     limits_.max_jobs()));
  }
  EVENKEEL_ASSIGN_OR_RETURN(Job job, Job::Create(plan, request.initial_bias(), effects));
  return &jobs_.emplace(name, std::move(job)).first->second;
}

absl::StatusOr<v1::JoinResponse> Coordinator::Join(const v1::JoinRequest& request, Effects* effects) {
  EVENKEEL_RETURN_IF_ERROR(CheckJoin(request));
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(request.job(), default_balance_, limits_));
  // A job that its first contributor may not join is not made.
  const bool is_new = jobs_.count(plan.effective.name()) == 0;
  Effects made;
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindOrCreate(plan, request, &made));
  absl::StatusOr<v1::JoinResponse> response = job->Join(plan, request, &made);
  if (!response.ok() && is_new) {
    jobs_.erase(plan.effective.name());
    return response;
  }
  effects->Append(std::move(made));
  return response;
}

PushResult Coordinator::Push(absl::Time now, CallId call, v1::PushRequest* push, Effects* effects) {
  absl::StatusOr<Job*> job = FindJob(push->job());
  if (!job.ok()) {
    effects->answers.push_back({call, job.status()});
    return PushResult::kRefused;
  }
  return (*job)->Push(now, call, push, effects);
}

absl::Status Coordinator::Leave(const v1::LeaveRequest& request, Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindJob(request.job()));
  return job->Leave(request, effects);
}

absl::StatusOr<v1::UpdateConfigResponse> Coordinator::UpdateConfig(const v1::UpdateConfigRequest& request,
                                                                   Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindJob(request.job()));
  return job->UpdateConfig(request, effects);
}

void Coordinator::Cancel(const std::string& job, CallId call) {
  const auto found = jobs_.find(job);
  if (found != jobs_.end()) found->second.Cancel(call);
}

void Coordinator::ShutDown(Effects* effects) {
  const absl::Status status = ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::SHUTTING_DOWN,
                                           "the coordinator is stopping; retry");
  for (auto& [name, job] : jobs_) job.AnswerAll(status, effects);
}

absl::StatusOr<v1::JobState> Coordinator::State(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->State();
}

absl::StatusOr<v1::DescribeJobResponse> Coordinator::DescribeLayers(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->DescribeLayers();
}

absl::StatusOr<v1::DescribeJobResponse> Coordinator::Describe(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->Describe();
}

v1::ListJobsResponse Coordinator::List() const {
  v1::ListJobsResponse response;
  for (const auto& [name, job] : jobs_) *response.add_jobs() = job.Summary();
  return response;
}

}  // namespace evenkeel::core
