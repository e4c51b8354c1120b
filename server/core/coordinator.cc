#include "server/core/coordinator.h"

#include <iterator>
#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "job/job_plan.h"

namespace evenkeel::core {
namespace {

constexpr uint32_t kProtocolVersion = 1;
constexpr absl::Duration kDefaultExpiry = absl::Hours(7 * 24);

absl::Duration ExpiryOf(const v1::CoordinatorConfig& config) {
  if (!config.has_job_expiry_ms()) return kDefaultExpiry;
  return config.job_expiry_ms() == 0 ? absl::InfiniteDuration() : absl::Milliseconds(config.job_expiry_ms());
}

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
  if (request.rewind() && request.catch_up()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        "rewind and catch_up are both set; the job goes back, or it stays where it is");
  }
  if (request.has_snapshot() && !request.rewind()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        "snapshot is given without rewind");
  }
  return absl::OkStatus();
}

// The snapshot of the request; null where there is none.
absl::StatusOr<std::shared_ptr<const BroughtStates>> BroughtBy(const v1::JoinRequest& request) {
  if (!request.has_snapshot()) return std::shared_ptr<const BroughtStates>();
  EVENKEEL_ASSIGN_OR_RETURN(std::shared_ptr<const BroughtStates> brought, OpenBrought(request.snapshot()));
  const uint64_t step = brought->states.state.version().step();
  if (step + 1 == request.next_step()) return brought;
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                      absl::StrCat("snapshot has the state after step ", step, "; next_step ", request.next_step(),
                                   " goes on from that after step ", request.next_step() - 1));
}

LogEvent MadeNotice(const job::JobPlan& plan) {
  const std::string& name = plan.effective.name();
  return InfoEvent("job_made",
                   absl::StrCat("job \"", name, "\": it is made, for ", plan.effective.contributors(),
                                " contributors, with ", plan.effective.layers_size(), " layers"),
                   name);
}

}  // namespace

Coordinator::Coordinator(const v1::CoordinatorConfig& config)
    : default_balance_(config.default_balance()),
      limits_(job::WithDefaults(config.limits())),
      job_expiry_(ExpiryOf(config)) {}

absl::Status Coordinator::Restore(absl::Time now, const std::vector<JobRecord>& records, Effects* effects) {
  for (const JobRecord& record : records) {
    EVENKEEL_ASSIGN_OR_RETURN(Job job, Job::Restore(now, record, effects));
    const std::string name = job.name();
    jobs_.emplace(name, std::move(job));
  }
  return absl::OkStatus();
}

absl::Status Coordinator::Wake(absl::Time now, const JobRecord& record, Effects* effects) {
  EVENKEEL_RETURN_IF_ERROR(CheckRoom(record.state.spec().name()));
  EVENKEEL_RETURN_IF_ERROR(Restore(now, {record}, effects));
  const std::string& name = record.state.spec().name();
  effects->notices.push_back(InfoEvent(
      "job_woke",
      absl::StrCat("job \"", name, "\": it had expired, and is back at step ", record.state.version().step()), name));
  return absl::OkStatus();
}

void Coordinator::Tick(absl::Time now, Effects* effects) {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    job->second.Tick(now, effects);
    const bool expires = now >= job->second.last_used() + job_expiry_ && job->second.Expire(job_expiry_, effects);
    job = expires ? jobs_.erase(job) : std::next(job);
  }
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

absl::StatusOr<Job*> Coordinator::FindOrCreate(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request,
                                               Effects* effects) {
  const std::string& name = plan.effective.name();
  const auto found = jobs_.find(name);
  if (found != jobs_.end()) return &found->second;
  EVENKEEL_ASSIGN_OR_RETURN(const std::shared_ptr<const BroughtStates> brought, BroughtBy(request));
  if (brought != nullptr) return CreateFrom(now, plan, *brought, effects);
  if (request.rewind() && request.next_step() > 1) EVENKEEL_RETURN_IF_ERROR(AwaitStates(now, plan, request));
  return Create(now, plan, request.initial_bias(), effects);
}

absl::Status Coordinator::CheckRoom(const std::string& name) const {
  if (static_cast<int>(jobs_.size()) < limits_.max_jobs()) return absl::OkStatus();
  return ServiceError(absl::StatusCode::kResourceExhausted, v1::ErrorDetail::LIMIT_EXCEEDED,
                      absl::StrCat("job \"", name, "\" would be one more than this coordinator's limits.max_jobs of ",
                                   limits_.max_jobs()));
}

absl::StatusOr<Job*> Coordinator::Create(absl::Time now, const job::JobPlan& plan, absl::Span<const float> initial_bias,
                                         Effects* effects) {
  const std::string& name = plan.effective.name();
  EVENKEEL_RETURN_IF_ERROR(CheckRoom(name));
  EVENKEEL_ASSIGN_OR_RETURN(Job job, Job::Create(now, plan, initial_bias, effects));
  return &jobs_.emplace(name, std::move(job)).first->second;
}

absl::StatusOr<Job*> Coordinator::CreateFrom(absl::Time now, const job::JobPlan& plan, const BroughtStates& brought,
                                             Effects* effects) {
  Effects made;
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, Create(now, plan, /*initial_bias=*/{}, &made));
  absl::Status status = job->TakeConfig(brought.states.state);
  if (status.ok()) status = job->PutState(now, brought.states, &made);
  if (!status.ok()) {
    jobs_.erase(plan.effective.name());
    return status;
  }
  effects->Append(std::move(made));
  return job;
}

// Never OK: nobody has brought the state of a job that is not here.
absl::Status Coordinator::AwaitStates(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request) {
  const std::string& name = plan.effective.name();
  const int contributors = plan.effective.contributors();
  std::vector<int> expected(contributors);
  std::iota(expected.begin(), expected.end(), 0);
  const bool room = wishes_.count(name) > 0 || static_cast<int>(wishes_.size()) < limits_.max_jobs();
  if (!room) wishes_.clear();  // they are repeated
  RewindWishes& wishes = wishes_[name];
  EVENKEEL_RETURN_IF_ERROR(wishes.RefusalOf(request.contributor(), request.incarnation()));
  wishes.Put(now, request.contributor(), {request.incarnation(), request.next_step(), /*brought=*/nullptr, {}});
  if (!wishes.Agree(request.contributor(), request.next_step(), expected)) {
    return ServiceError(absl::StatusCode::kUnavailable, v1::ErrorDetail::REWIND_PENDING,
                        absl::StrCat("no job \"", name,
                                     "\" is here, and nobody has brought its state: ", wishes.Describe(contributors)));
  }
  wishes.RefuseAll(
      ServiceError(absl::StatusCode::kFailedPrecondition, v1::ErrorDetail::STATE_UNKNOWN,
                   absl::StrCat("no job \"", name, "\" is here, so that the state after step ", request.next_step() - 1,
                                " is not known; bring the snapshot of the checkpoint, or check that this "
                                "is the right coordinator and has its own state directory")));
  return wishes.RefusalOf(request.contributor(), request.incarnation());
}

std::vector<uint64_t> Coordinator::StatesFor(absl::Time now, const v1::JoinRequest& request) const {
  const auto found = jobs_.find(request.job().name());
  const bool asks = found != jobs_.end() && request.rewind() && request.next_step() > 0;
  return asks ? found->second.StatesFor(now, request) : std::vector<uint64_t>();
}

absl::StatusOr<v1::JoinResponse> Coordinator::Join(absl::Time now, const v1::JoinRequest& request, Effects* effects,
                                                   const History& history) {
  EVENKEEL_RETURN_IF_ERROR(CheckJoin(request));
  EVENKEEL_RETURN_IF_ERROR(BroughtBy(request).status());
  EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(request.job(), default_balance_, limits_));
  // A job that its first contributor may not join is not made.
  const bool is_new = jobs_.count(plan.effective.name()) == 0;
  Effects made;
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindOrCreate(now, plan, request, &made));
  absl::StatusOr<v1::JoinResponse> response = job->Join(now, plan, request, &made, history);
  if (!response.ok() && is_new) {
    jobs_.erase(plan.effective.name());
    return response;
  }
  if (is_new) {
    wishes_.erase(plan.effective.name());
    made.notices.insert(made.notices.begin(), MadeNotice(plan));
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

absl::StatusOr<v1::HeartbeatResponse> Coordinator::Heartbeat(absl::Time now, const v1::HeartbeatRequest& request,
                                                             Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindJob(request.job()));
  return job->Heartbeat(now, request, effects);
}

absl::Status Coordinator::Leave(absl::Time now, const v1::LeaveRequest& request, Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindJob(request.job()));
  return job->Leave(now, request, effects);
}

absl::StatusOr<v1::UpdateConfigResponse> Coordinator::UpdateConfig(absl::Time now,
                                                                   const v1::UpdateConfigRequest& request,
                                                                   Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(Job * job, FindJob(request.job()));
  return job->UpdateConfig(now, request, effects);
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

absl::StatusOr<std::vector<uint64_t>> Coordinator::StatesFor(const v1::GetStateRequest& request) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(request.job()));
  return job->SnapshotSteps(request.has_step() ? std::optional<uint64_t>(request.step()) : std::nullopt);
}

absl::StatusOr<v1::GetStateResponse> Coordinator::GetState(const v1::GetStateRequest& request,
                                                           const History& states) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(request.job()));
  v1::GetStateResponse response;
  EVENKEEL_ASSIGN_OR_RETURN(
      *response.mutable_snapshot(),
      job->Snapshot(request.has_step() ? std::optional<uint64_t>(request.step()) : std::nullopt, states));
  return response;
}

absl::StatusOr<v1::PutStateResponse> Coordinator::PutState(absl::Time now, const v1::PutStateRequest& request,
                                                           Effects* effects) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::shared_ptr<const BroughtStates> brought, OpenBrought(request.snapshot()));
  const auto found = jobs_.find(request.job());
  Job* job = found != jobs_.end() ? &found->second : nullptr;
  if (job == nullptr) {
    v1::JobSpec spec = brought->states.state.spec();
    spec.set_name(request.job());
    EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(spec, default_balance_, limits_));
    EVENKEEL_ASSIGN_OR_RETURN(job, CreateFrom(now, plan, *brought, effects));
  } else {
    EVENKEEL_RETURN_IF_ERROR(job->PutState(now, brought->states, effects));
  }
  wishes_.erase(request.job());
  v1::PutStateResponse response;
  *response.mutable_version() = job->version();
  response.set_epoch(job->epoch());
  return response;
}

absl::StatusOr<v1::JobState> Coordinator::State(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->State();
}

absl::StatusOr<v1::DescribeJobResponse> Coordinator::Overview(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->Overview();
}

absl::StatusOr<v1::DescribeJobResponse> Coordinator::Describe(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->Describe();
}

absl::StatusOr<core::Fleet> Coordinator::Fleet(const std::string& name) const {
  EVENKEEL_ASSIGN_OR_RETURN(const Job* job, FindJob(name));
  return job->Fleet();
}

v1::ListJobsResponse Coordinator::List() const {
  v1::ListJobsResponse response;
  for (const auto& [name, job] : jobs_) *response.add_jobs() = job.Summary();
  return response;
}

}  // namespace evenkeel::core
