#include "client/link/link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "client/link/channel.h"
#include "client/link/verdict.h"
#include "client/link/version_check.h"

namespace evenkeel::client {
namespace {

Deadline Now() { return std::chrono::steady_clock::now(); }

std::string Describe(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

}  // namespace

Link::Link(std::string coordinator, v1::JoinRequest join, const LinkOptions& options)
    : coordinator_(std::move(coordinator)),
      options_(options),
      connection_(coordinator_, MaxReplyBytes(join), options.credentials),
      join_(std::move(join)) {}

absl::Status Link::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* response) {
  EVENKEEL_RETURN_IF_ERROR(
      Persist(deadline, [&](const Patience& patience) { return JoinOnce(next_step, patience, response); }));
  // Who joins again later is where the job is.
  join_.clear_rewind();
  join_.clear_catch_up();
  join_.clear_snapshot();
  return absl::OkStatus();
}

absl::Status Link::Deliver(Deadline deadline, v1::PushRequest* push, v1::CommittedVersion* version) {
  return Persist(deadline, [&](const Patience& patience) { return PushOrJoin(patience, push, version); });
}

void Link::Tell(const WorkerFigures& figures) {
  MutexLock lock(&mutex_);
  if (heartbeat_ != nullptr) heartbeat_->Tell(figures);
}

absl::Status Link::Leave(Deadline deadline) {
  {
    MutexLock lock(&mutex_);
    heartbeat_.reset();
  }
  v1::LeaveRequest request;
  request.set_job(join_.job().name());
  request.set_contributor(join_.contributor());
  request.set_incarnation(join_.incarnation());
  return Persist(deadline,
                 [&](const Patience& patience) { return OfCoordinator(connection_.Leave(request, patience)); });
}

void Link::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  connection_.Stop();
}

absl::Status Link::obstacle() {
  MutexLock lock(&mutex_);
  return obstacle_;
}

void Link::Note(const absl::Status& obstacle) {
  MutexLock lock(&mutex_);
  obstacle_ = obstacle;
}

// ---------------------------------------------------------------------------------------------------------------------
// Attempts

absl::Status Link::Persist(Deadline deadline, Attempt attempt) {
  Backoff backoff(options_.backoff, join_.incarnation());
  absl::Status obstacle;
  Note(obstacle);
  while (true) {
    const absl::Status status =
        attempt({std::min(deadline, Now() + options_.attempt_timeout), /*wait_for_connection=*/!obstacle.ok()});
    if (status.ok() || Judge(status) != Verdict::kRetry) return status;
    // Silence says less than whatever was met before it.
    if (obstacle.ok() || status.code() != absl::StatusCode::kDeadlineExceeded) obstacle = status;
    Note(obstacle);
    if (!Pause(std::min(deadline, Now() + backoff.Next()))) return absl::CancelledError("the worker is gone");
    if (Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("no answer from the coordinator at ", coordinator_,
                                                      " in time; the last failed attempt met ", Describe(obstacle)));
    }
  }
}

bool Link::Pause(Deadline until) {
  MutexLock lock(&mutex_);
  while (!stopping_ && changed_.WaitUntil(&mutex_, until)) {
  }
  return !stopping_;
}

absl::Status Link::OfCoordinator(const absl::Status& status) const {
  const bool is_final = !status.ok() && Judge(status) == Verdict::kFinal;
  if (!is_final || ReasonOf(status) != v1::ErrorDetail::REASON_UNSPECIFIED) return status;
  return absl::UnavailableError(
      absl::StrCat("what answers at ", coordinator_, " is not the coordinator: ", Describe(status)));
}

absl::Status Link::CheckEpoch(uint64_t epoch) {
  if (epoch < highest_epoch_) {
    return absl::UnavailableError(absl::StrCat("a stale coordinator at ", coordinator_, " answered in epoch ", epoch,
                                               ", but epoch ", highest_epoch_, " has been seen"));
  }
  highest_epoch_ = epoch;
  return absl::OkStatus();
}

void Link::Beat(const v1::JoinResponse& response) {
  const std::chrono::milliseconds timeout(response.effective().membership().heartbeat_timeout_ms());
  MutexLock lock(&mutex_);
  if (heartbeat_ == nullptr) heartbeat_ = std::make_unique<Heartbeat>(coordinator_, join_, options_.credentials);
  heartbeat_->Beat(response.epoch(), timeout);
}

absl::Status Link::JoinOnce(uint64_t next_step, const Patience& patience, v1::JoinResponse* response) {
  join_.set_next_step(next_step);
  EVENKEEL_RETURN_IF_ERROR(connection_.Join(join_, patience, response));
  EVENKEEL_RETURN_IF_ERROR(CheckEpoch(response->epoch()));
  EVENKEEL_RETURN_IF_ERROR(VerifyLayers(join_.job(), response->effective()));
  EVENKEEL_RETURN_IF_ERROR(VerifyVersion(join_.job(), response->version()));
  if (response->has_previous()) EVENKEEL_RETURN_IF_ERROR(VerifyVersion(join_.job(), response->previous()));
  joined_epoch_ = response->epoch();
  Beat(*response);
  if (response->open_step() >= next_step) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("step ", response->open_step(), " is still open, and this worker takes ",
                                             "part from step ", next_step, " on"));
}

absl::Status Link::PushOnce(const v1::PushRequest& push, const Patience& patience, v1::CommittedVersion* version) {
  const absl::Status status = OfCoordinator(connection_.Push(push, patience, version));
  highest_epoch_ = std::max(highest_epoch_, DetailOf(status).epoch());
  EVENKEEL_RETURN_IF_ERROR(status);
  EVENKEEL_RETURN_IF_ERROR(CheckEpoch(version->version().epoch()));
  if (version->version().step() < push.step()) {
    return absl::DataLossError(absl::StrCat("the coordinator answered the push of step ", push.step(),
                                            " with the version of step ", version->version().step()));
  }
  return VerifyVersion(join_.job(), *version);
}

absl::Status Link::PushOrJoin(const Patience& patience, v1::PushRequest* push, v1::CommittedVersion* version) {
  push->set_epoch(joined_epoch_);
  const absl::Status status = PushOnce(*push, patience, version);
  if (status.ok() || Judge(status) != Verdict::kJoinAgain) return status;

  v1::JoinResponse response;
  EVENKEEL_RETURN_IF_ERROR(JoinOnce(push->step(), patience, &response));
  if (response.version().version().step() >= push->step()) {
    // It was committed, and the reply was lost with the coordinator.
    version->Swap(response.mutable_version());
    return absl::OkStatus();
  }
  push->set_epoch(joined_epoch_);
  const absl::Status again = PushOnce(*push, patience, version);
  if (again.ok() || Judge(again) != Verdict::kJoinAgain) return again;
  return absl::UnavailableError(absl::StrCat("after joining again: ", again.message()));
}

}  // namespace evenkeel::client
