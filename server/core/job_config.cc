// How a job's balancing is changed while it runs: the part of job.h that operators call.

#include <utility>

#include "base/error_detail.h"
#include "base/status_macros.h"
#include "server/core/job.h"
#include "server/core/job_events.h"

namespace evenkeel::core {
namespace {

bool HasChange(const v1::UpdateConfigRequest& request) {
  return request.has_balance() || request.overrides_size() > 0 ||
         request.mode() != v1::JobSpec::Mode::KIND_UNSPECIFIED || request.has_membership() ||
         request.missing_policy() != v1::JobSpec::MissingPolicy::KIND_UNSPECIFIED;
}

absl::Status CheckWhatIsAsked(const v1::UpdateConfigRequest& request) {
  const auto refuse = [](absl::string_view message) {
    return ServiceError(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD, message);
  };
  if (request.undo() && HasChange(request)) {
    return refuse("undo takes a change back and makes none; whatever else could be changed must be absent");
  }
  if (!request.undo() && !request.resume() && !HasChange(request)) {
    return refuse(
        "the request asks for nothing: balance, overrides, mode, membership, missing_policy, undo and resume are all "
        "absent");
  }
  return absl::OkStatus();
}

v1::ConfigChange PatchOf(const v1::UpdateConfigRequest& request) {
  v1::ConfigChange patch;
  patch.set_from_step(request.from_step());
  *patch.mutable_balance() = request.balance();
  *patch.mutable_overrides() = request.overrides();
  patch.set_mode(request.mode());
  *patch.mutable_membership() = request.membership();
  patch.set_missing_policy(request.missing_policy());
  patch.set_note(request.note());
  return patch;
}

}  // namespace

v1::JobSpec Job::InForce() const { return PlanAt(plan_, timeline_, open_step()).effective; }

absl::StatusOr<v1::UpdateConfigResponse> Job::UpdateConfig(absl::Time now, const v1::UpdateConfigRequest& request,
                                                           Effects* effects) {
  SetNow(now);
  absl::Status status = CheckWhatIsAsked(request);
  const v1::JobState before = State();
  if (status.ok() && request.undo()) status = timeline_.Undo(request.from_step(), request.note(), open_step());
  if (status.ok() && HasChange(request)) status = timeline_.Add(plan_, PatchOf(request), open_step());
  if (!status.ok()) return WithJob(status);
  if (request.resume()) state_.halt.reset();
  auto after = std::make_shared<const v1::JobState>(State());
  if (after->SerializeAsString() != before.SerializeAsString()) {
    effects->writes.push_back({name(), std::move(after), epoch_, /*versions=*/{}, /*members=*/{}});
  }
  v1::UpdateConfigResponse response;
  *response.mutable_effective() = InForce();
  *response.mutable_changes() = timeline_.ToProto();
  return response;
}

}  // namespace evenkeel::core
