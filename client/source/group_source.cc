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

constexpr uint32_t kProtocolVersion = 1;

// How often the leader tells a group that waits with it that there is nothing to tell yet.
constexpr std::chrono::seconds kPendingInterval(1);

absl::Status WithRank(int place, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("rank ", place, " of the group: ", status.message()));
}

}  // namespace

GroupSource::GroupSource(const v1::JobSpec& spec, const GroupMember& member, Commits commits,
                         std::unique_ptr<BiasSource> inner, std::unique_ptr<Rendezvous> rendezvous,
                         MakeReducer make_reducer)
    : spec_(spec),
      member_(member),
      commits_(commits),
      inner_(std::move(inner)),
      rendezvous_(std::move(rendezvous)),
      make_reducer_(std::move(make_reducer)),
      frame_(spec),
      thread_(&GroupSource::Run, this) {
  EVENKEEL_CHECK(inner_ != nullptr || !has_inner());
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
// Joining

v1::GroupHello GroupSource::Hello(uint64_t next_step, const absl::Status& status,
                                  const v1::JoinResponse& joined) const {
  v1::GroupHello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_incarnation(member_.incarnation);
  hello.set_fingerprint(member_.fingerprint);
  hello.set_next_step(next_step);
  hello.set_join_code(static_cast<int>(status.code()));
  hello.set_join_message(std::string(status.message()));
  if (status.ok() && commits_ == Commits::kLeader && leads()) *hello.mutable_joined() = joined;
  return hello;
}

absl::Status GroupSource::CheckHello(int place, const std::string& bytes, uint64_t next_step,
                                     v1::GroupHello* hello) const {
  if (!hello->ParseFromString(bytes)) {
    return WithRank(place, absl::InvalidArgumentError("what it left at the rendezvous is no greeting of this library"));
  }
  if (hello->protocol_version() != kProtocolVersion) {
    return WithRank(place, absl::InvalidArgumentError(absl::StrCat("it speaks version ", hello->protocol_version(),
                                                                   " of the protocol, this rank ", kProtocolVersion)));
  }
  if (hello->join_code() != 0) {
    return WithRank(place, absl::Status(static_cast<absl::StatusCode>(hello->join_code()), hello->join_message()));
  }
  if (hello->fingerprint() != member_.fingerprint) {
    return WithRank(place, absl::InvalidArgumentError(
                               "its layers or its balance config are not this rank's; they must be the same"));
  }
  if (hello->next_step() != next_step) {
    return WithRank(place, absl::InvalidArgumentError(
                               absl::StrCat("its next_step is ", hello->next_step(), ", this rank's ", next_step)));
  }
  return absl::OkStatus();
}

absl::Status GroupSource::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  // Whatever comes of it, the others wait to be told.
  const absl::Status status = has_inner() ? inner_->Join(next_step, deadline, joined) : absl::OkStatus();
  const std::string own = Hello(next_step, status, *joined).SerializeAsString();
  const absl::StatusOr<std::vector<std::string>> all = rendezvous_->Exchange("join", own, deadline);
  EVENKEEL_RETURN_IF_ERROR(status);
  EVENKEEL_RETURN_IF_ERROR(all.status());
  std::vector<v1::GroupHello> hellos(all->size());
  for (size_t place = 0; place < all->size(); ++place) {
    EVENKEEL_RETURN_IF_ERROR(CheckHello(static_cast<int>(place), (*all)[place], next_step, &hellos[place]));
  }
  if (has_inner()) return absl::OkStatus();
  joined->Swap(hellos[0].mutable_joined());
  EVENKEEL_RETURN_IF_ERROR(VerifyLayers(spec_, joined->effective()));
  return VerifyVersion(spec_, joined->version());
}

absl::Status GroupSource::Leave(Deadline deadline) { return has_inner() ? inner_->Leave(deadline) : absl::OkStatus(); }

// ---------------------------------------------------------------------------------------------------------------------
// The caller's side of a commit

void GroupSource::Push(StepCounts* counts) {
  MutexLock lock(&mutex_);
  EVENKEEL_CHECK(push_ == nullptr);
  push_ = counts;
  obstacle_ = absl::OkStatus();
  changed_.NotifyAll();
}

absl::Status GroupSource::Await(Deadline deadline, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  while (push_ != nullptr) {
    if (changed_.WaitUntil(&mutex_, deadline) || push_ == nullptr) continue;
    return absl::DeadlineExceededError(
        absl::StrCat("step ", push_->step, " is not committed yet; ",
                     obstacle_.ok() ? "it waits for the other ranks of the group" : obstacle_.message()));
  }
  EVENKEEL_RETURN_IF_ERROR(outcome_);
  version->Swap(&arrived_);
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------------------------------------------------
// The committing thread

void GroupSource::Run() {
  absl::Status status;
  v1::CommittedVersion version;
  while (StepCounts* counts = NextPush()) {
    if (status.ok()) status = Commit(counts, &version);
    MutexLock lock(&mutex_);
    outcome_ = status;
    arrived_.Swap(&version);
    push_ = nullptr;
    changed_.NotifyAll();
  }
}

StepCounts* GroupSource::NextPush() {
  MutexLock lock(&mutex_);
  while (!stopping_ && push_ == nullptr) changed_.Wait(&mutex_);
  return stopping_ ? nullptr : push_;
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

absl::Status GroupSource::Commit(StepCounts* counts, v1::CommittedVersion* version) {
  EVENKEEL_RETURN_IF_ERROR(EnsureReducer());
  EVENKEEL_RETURN_IF_ERROR(reducer_->Sum(counts->sums()));
  if (commits_ == Commits::kLeader) return leads() ? Lead(counts, version) : Follow(version);
  inner_->Push(counts);
  return inner_->Await(Deadline::max(), version);
}

absl::Status GroupSource::Lead(StepCounts* counts, v1::CommittedVersion* version) {
  inner_->Push(counts);
  while (true) {
    absl::Status status = inner_->Await(std::chrono::steady_clock::now() + kPendingInterval, version);
    const bool pending = absl::IsDeadlineExceeded(status);
    if (pending && stopping()) return status;
    v1::GroupOutcome outcome = pending ? Pending(status) : Failed(status);
    if (status.ok()) {
      outcome.set_kind(v1::GroupOutcome::Kind::COMMITTED);
      *outcome.mutable_version() = *version;
    }
    Note(status);
    frame_.Write(std::move(outcome));
    EVENKEEL_RETURN_IF_ERROR(reducer_->Broadcast(frame_.bytes()));
    if (!pending) return status;
  }
}

absl::Status GroupSource::Follow(v1::CommittedVersion* version) {
  while (true) {
    EVENKEEL_RETURN_IF_ERROR(reducer_->Broadcast(frame_.bytes()));
    EVENKEEL_ASSIGN_OR_RETURN(v1::GroupOutcome outcome, frame_.Read());
    switch (outcome.kind()) {
      case v1::GroupOutcome::Kind::PENDING:
        Note(StatusOf(outcome));
        continue;
      case v1::GroupOutcome::Kind::FAILED:
        return WithRank(0, StatusOf(outcome));
      case v1::GroupOutcome::Kind::COMMITTED:
        version->Swap(outcome.mutable_version());
        return VerifyVersion(spec_, *version);
      default:
        return absl::DataLossError(absl::StrCat("the leader's broadcast has the unknown kind ", outcome.kind()));
    }
  }
}

}  // namespace evenkeel::client
