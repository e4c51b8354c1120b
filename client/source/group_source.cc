#include "client/source/group_source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/link/version_check.h"

namespace evenkeel::client {
namespace {

// How often the leader tells a group that waits with it that there is nothing to tell yet.
constexpr std::chrono::seconds kPendingInterval(1);

}  // namespace

GroupSource::GroupSource(const v1::JobSpec& spec, const GroupMember& member, Commits commits,
                         std::unique_ptr<BiasSource> inner, std::unique_ptr<Rendezvous> rendezvous,
                         MakeReducer make_reducer)
    : spec_(spec),
      commits_(commits),
      meeting_(spec, member, commits, std::move(rendezvous)),
      inner_(std::move(inner)),
      make_reducer_(std::move(make_reducer)),
      frame_(spec),
      thread_(&GroupSource::Run, this) {
  EVENKEEL_CHECK((inner_ != nullptr) == meeting_.commits());
}

GroupSource::~GroupSource() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    if (owned_reducer_ != nullptr) owned_reducer_->Abort();
    changed_.NotifyAll();
  }
  thread_.join();
}

// ---------------------------------------------------------------------------------------------------------------------
// The caller's side of a commit

absl::Status GroupSource::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  EVENKEEL_RETURN_IF_ERROR(meeting_.Join(inner_.get(), next_step, deadline, joined));
  MutexLock lock(&mutex_);
  committed_ = next_step - 1;
  return absl::OkStatus();
}

void GroupSource::Push(StepCountsPtr counts) {
  MutexLock lock(&mutex_);
  pushes_.push_back(std::move(counts));
  changed_.NotifyAll();
}

absl::StatusOr<bool> GroupSource::Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) {
  return Take(step, deadline, version);
}

absl::StatusOr<bool> GroupSource::Leave(Deadline deadline, v1::CommittedVersion* version) {
  {
    MutexLock lock(&mutex_);
    if (leaving_ == Leaving::kNo) leaving_ = Leaving::kAsked;
    changed_.NotifyAll();
  }
  return Take(kLeaving, deadline, version);
}

bool GroupSource::IsHere(uint64_t routes) const { return !outcomes_.empty() && outcomes_.back().routes == routes; }

absl::StatusOr<bool> GroupSource::Take(uint64_t routes, Deadline deadline, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  while (!IsHere(routes)) {
    EVENKEEL_RETURN_IF_ERROR(error_);
    if (changed_.WaitUntil(&mutex_, deadline) || IsHere(routes) || !error_.ok()) continue;
    return absl::DeadlineExceededError(
        absl::StrCat(routes == kLeaving ? "not all is committed yet; " : "the last step is not committed yet; ",
                     obstacle_.ok() ? "it waits for the other ranks of the group" : obstacle_.message()));
  }
  bool is_new = false;
  for (Outcome& outcome : outcomes_) {
    if (!outcome.is_new) continue;
    version->Swap(&outcome.version);
    is_new = true;
  }
  outcomes_.clear();
  return is_new;
}

// Once the step is committed, the thread leaves the inner source alone.
absl::StatusOr<v1::Snapshot> GroupSource::Save(uint64_t step, Deadline deadline) {
  if (commits_ != Commits::kEveryRank) return BiasSource::Save(step, deadline);
  MutexLock lock(&mutex_);
  while (committed_ < step) {
    EVENKEEL_RETURN_IF_ERROR(error_);
    if (changed_.WaitUntil(&mutex_, deadline) || committed_ >= step || !error_.ok()) continue;
    return absl::DeadlineExceededError(
        absl::StrCat("step ", step, " is not committed yet; it waits for the other ranks of the group"));
  }
  return inner_->Save(step, deadline);
}

BiasSource::Backlog GroupSource::backlog() { return inner_ != nullptr ? inner_->backlog() : Backlog(); }

// ---------------------------------------------------------------------------------------------------------------------
// The committing thread

void GroupSource::Run() {
  absl::Status error;
  StepCountsPtr counts;
  while (error.ok() && NextTask(&counts)) {
    Outcome outcome;
    outcome.routes = counts != nullptr ? counts->step + 1 : kLeaving;
    const absl::StatusOr<bool> is_new =
        counts != nullptr ? Commit(std::move(counts), &outcome.version) : LeaveTogether(&outcome.version);
    error = is_new.status();
    MutexLock lock(&mutex_);
    if (is_new.ok()) {
      if (outcome.routes != kLeaving) committed_ = outcome.routes - 1;
      outcome.is_new = *is_new;
      outcomes_.push_back(std::move(outcome));
    }
    error_ = error;
    obstacle_ = absl::OkStatus();
    changed_.NotifyAll();
  }
}

bool GroupSource::NextTask(StepCountsPtr* counts) {
  counts->reset();
  MutexLock lock(&mutex_);
  while (!stopping_ && leaving_ != Leaving::kAsked && pushes_.empty()) changed_.Wait(&mutex_);
  if (stopping_) return false;
  if (!pushes_.empty()) {
    *counts = std::move(pushes_.front());
    pushes_.pop_front();
  } else {
    leaving_ = Leaving::kBegun;
  }
  return true;
}

bool GroupSource::stopping() {
  MutexLock lock(&mutex_);
  return stopping_;
}

void GroupSource::Note(const absl::Status& obstacle) {
  MutexLock lock(&mutex_);
  obstacle_ = obstacle;
}

absl::Status GroupSource::EnsureReducer() {
  if (reducer_ != nullptr) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<Reducer> reducer, make_reducer_());
  reducer_ = reducer.get();
  MutexLock lock(&mutex_);
  owned_reducer_ = std::move(reducer);
  if (stopping_) reducer_->Abort();
  return absl::OkStatus();
}

absl::StatusOr<bool> GroupSource::Commit(StepCountsPtr counts, v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(EnsureReducer());
  EVENKEEL_RETURN_IF_ERROR(counts->Arrive());
  EVENKEEL_RETURN_IF_ERROR(reducer_->Sum(counts->sums()));
  const uint64_t next = counts->step + 1;
  if (inner_ != nullptr) inner_->Push(std::move(counts));
  if (commits_ == Commits::kEveryRank) return inner_->Await(next, Deadline::max(), version);
  if (!meeting_.leads()) return Hear(version);
  return Tell([&](Deadline deadline, v1::CommittedVersion* newer) { return inner_->Await(next, deadline, newer); },
              version);
}

absl::StatusOr<bool> GroupSource::LeaveTogether(v1::CommittedVersion* version) {
  if (commits_ == Commits::kEveryRank) return inner_->Leave(Deadline::max(), version);
  // Ranks that have committed nothing have never met.
  if (!meeting_.leads()) return reducer_ != nullptr ? Hear(version) : false;
  return Tell([&](Deadline deadline, v1::CommittedVersion* newest) { return inner_->Leave(deadline, newest); },
              version);
}

absl::StatusOr<bool> GroupSource::Tell(Ask ask, v1::CommittedVersion* version) {
  while (true) {
    const absl::StatusOr<bool> is_new = ask(std::chrono::steady_clock::now() + kPendingInterval, version);
    const bool pending = absl::IsDeadlineExceeded(is_new.status());
    if (pending && stopping()) return is_new;
    v1::GroupOutcome outcome = pending ? Pending(is_new.status()) : Failed(is_new.status());
    if (is_new.ok()) {
      outcome.set_kind(*is_new ? v1::GroupOutcome::Kind::VERSION : v1::GroupOutcome::Kind::NO_VERSION);
      if (*is_new) *outcome.mutable_version() = *version;
    }
    Note(is_new.status());
    frame_.Write(std::move(outcome));
    if (reducer_ != nullptr) EVENKEEL_RETURN_IF_ERROR(reducer_->Broadcast(frame_.bytes()));
    if (!pending) return is_new;
  }
}

absl::StatusOr<bool> GroupSource::Hear(v1::CommittedVersion* version) {
  while (true) {
    EVENKEEL_RETURN_IF_ERROR(reducer_->Broadcast(frame_.bytes()));
    EVENKEEL_ASSIGN_OR_RETURN(v1::GroupOutcome outcome, frame_.Read());
    switch (outcome.kind()) {
      case v1::GroupOutcome::Kind::PENDING:
        Note(StatusOf(outcome));
        continue;
      case v1::GroupOutcome::Kind::FAILED:
        return WithRank(0, StatusOf(outcome));
      case v1::GroupOutcome::Kind::NO_VERSION:
        return false;
      case v1::GroupOutcome::Kind::VERSION:
        version->Swap(outcome.mutable_version());
        EVENKEEL_RETURN_IF_ERROR(VerifyVersion(spec_, *version));
        return true;
      default:
        return absl::DataLossError(absl::StrCat("the leader's broadcast has the unknown kind ", outcome.kind()));
    }
  }
}

}  // namespace evenkeel::client
