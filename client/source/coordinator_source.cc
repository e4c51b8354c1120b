#include "client/source/coordinator_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/source/rank_checks.h"
#include "job/kept_versions.h"

namespace evenkeel::client {
namespace {

// Far ahead, but not so far that the clock overflows.
constexpr std::chrono::hours kLongestPatience(24 * 365);

Deadline Now() { return std::chrono::steady_clock::now(); }

LossOptions Bounded(LossOptions loss) {
  loss.patience = std::min<std::chrono::milliseconds>(loss.patience, kLongestPatience);
  return loss;
}

// What is the same for every push.
v1::PushRequest PushOf(const v1::JoinRequest& join) {
  v1::PushRequest push;
  push.set_job(join.job().name());
  push.set_contributor(join.contributor());
  push.set_incarnation(join.incarnation());
  return push;
}

std::vector<int> RanksOf(const v1::JoinRequest& join) {
  if (join.ranks_size() == 0) return {join.contributor()};
  return {join.ranks().begin(), join.ranks().end()};
}

// One plane of a push, of `size` counts.
class Plane {
 public:
  Plane(int size, v1::Counts* message) : low_(*message->mutable_low()), high_(*message->mutable_high()) {
    low_.Resize(size, 0);
    high_.Resize(size, 0);
  }

  void Append(absl::Span<const uint64_t> counts) {
    for (const uint64_t count : counts) {
      low_.Set(next_, static_cast<uint32_t>(count));
      high_.Set(next_, static_cast<uint32_t>(count >> 32));
      any_high_ |= high_.Get(next_++);
    }
  }

  // Once all are there.
  void Finish() {
    if (any_high_ == 0) high_.Clear();
  }

 private:
  google::protobuf::RepeatedField<uint32_t>& low_;
  google::protobuf::RepeatedField<uint32_t>& high_;
  int next_ = 0;
  uint32_t any_high_ = 0;
};

void PackRouted(const StepCounts& counts, const OwnedRows& owned, v1::PushRequest* push) {
  Plane routed(owned.experts, push->mutable_routed());
  for (const int index : owned.owned) {
    const job::LayerTable::Row& row = owned.rows[index];
    routed.Append(counts.counts().subspan(row.offset, row.num_experts));
  }
  routed.Finish();
}

void PackDispatched(const StepCounts& counts, const OwnedRows& owned, v1::PushRequest* push) {
  if (owned.dispatched == 0) return;
  Plane dispatched(owned.dispatched, push->mutable_dispatched());
  for (const int index : owned.owned) {
    const job::LayerTable::Row& row = owned.rows[index];
    if (row.dispatched_offset < 0) continue;
    dispatched.Append(counts.dispatched().subspan(row.dispatched_offset, row.num_experts));
  }
  dispatched.Finish();
}

}  // namespace

OwnedRows OwnedRows::Of(const v1::JoinRequest& join) {
  OwnedRows result;
  result.rows = job::LayerTable(join.job());
  absl::StatusOr<std::vector<int>> owned = result.rows.Indices(join.owned_layers());
  EVENKEEL_CHECK(owned.ok());
  result.owned = *std::move(owned);
  for (const int index : result.owned) {
    const job::LayerTable::Row& row = result.rows[index];
    result.experts += row.num_experts;
    if (row.dispatched_offset >= 0) result.dispatched += row.num_experts;
  }
  return result;
}

void PackStep(const StepCounts& counts, const OwnedRows& owned, v1::PushRequest* push) {
  push->set_ok(counts.skips() == 0);
  push->set_replayed(counts.replays() > 0);
  push->clear_counts_lost();
  push->mutable_valid_tokens()->Clear();
  push->mutable_short_slots()->Clear();
  uint64_t any_short = 0;
  for (const int index : owned.owned) {
    const StepCounts::Totals& totals = counts.totals()[index];
    push->add_valid_tokens(totals.tokens);
    push->add_short_slots(totals.short_slots);
    any_short |= totals.short_slots;
  }
  if (any_short == 0) push->mutable_short_slots()->Clear();
  PackRouted(counts, owned, push);
  PackDispatched(counts, owned, push);
}

void PackChecks(const StepCounts& counts, uint64_t bias_checksum, const std::vector<int>& ranks,
                v1::PushRequest* push) {
  push->clear_rank_fingerprints();
  push->clear_diverged_ranks();
  uint64_t any = 0;
  for (const StepCounts::RankCheck& check : counts.checks()) {
    push->add_rank_fingerprints(check.counts);
    any |= check.counts;
  }
  if (any == 0) push->clear_rank_fingerprints();
  for (const int place : DivergedPlaces(counts, bias_checksum)) push->add_diverged_ranks(ranks[place]);
}

void PackLoss(v1::PushRequest* push) {
  push->set_counts_lost(true);
  push->clear_rank_fingerprints();
  push->clear_diverged_ranks();
  push->mutable_valid_tokens()->Clear();
  push->mutable_short_slots()->Clear();
  push->clear_routed();
  push->clear_dispatched();
}

CoordinatorSource::CoordinatorSource(std::string coordinator, const v1::JoinRequest& join, const LossOptions& loss,
                                     const LinkOptions& link)
    : loss_(Bounded(loss)),
      owned_(OwnedRows::Of(join)),
      ranks_(RanksOf(join)),
      push_(PushOf(join)),
      link_(std::move(coordinator), join, link),
      log_(loss.log_steps),
      delivery_(&CoordinatorSource::Run, this) {}

CoordinatorSource::~CoordinatorSource() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  link_.Stop();
  delivery_.join();
}

absl::Status CoordinatorSource::Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* joined) {
  EVENKEEL_RETURN_IF_ERROR(link_.Join(next_step, deadline, joined));
  spec_ = joined->effective();
  MutexLock lock(&mutex_);
  given_ = joined->version();
  if (joined->has_previous()) {
    given_ = joined->previous();
    arrived_.push_back(joined->version());
  }
  first_version_ = given_.version().step();
  bias_checksum_ = BiasChecksum(given_.bias());
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------------------------------------------------
// The caller's side

void CoordinatorSource::Push(StepCountsPtr counts) {
  PushLog::Step step;
  step.step = counts->step;
  step.counts = std::move(counts);
  MutexLock lock(&mutex_);
  step.routed_with = given_.version();
  step.provisional = continuation_ != nullptr;
  step.bias_checksum = bias_checksum_;
  pushed_at_ = Now();
  const bool lost_counts = log_.Append(std::move(step));
  if (lost_counts && loss_.fail_when_full && outcome_.ok()) {
    outcome_ = absl::ResourceExhaustedError(
        absl::StrCat("the coordinator has been away for more than the loss.log_steps = ", loss_.log_steps,
                     " steps that are kept; ", Obstacle(log_.front().step)));
  }
  changed_.NotifyAll();
}

bool CoordinatorSource::Has(uint64_t due) const {
  const v1::CommittedVersion& newest = arrived_.empty() ? given_ : arrived_.back();
  return newest.version().step() >= due;
}

bool CoordinatorSource::Give(uint64_t due, v1::CommittedVersion* version) {
  bool newer = false;
  while (!arrived_.empty() && arrived_.front().version().step() <= due) {
    given_.Swap(&arrived_.front());
    arrived_.pop_front();
    newer = true;
  }
  if (newer) {
    *version = given_;
    bias_checksum_ = BiasChecksum(given_.bias());
  }
  return newer;
}

Deadline CoordinatorSource::GivesUpAt() const {
  if (loss_.on_loss == OnLoss::kWait) return Deadline::max();
  if (!lost_) return pushed_at_ + loss_.patience;
  const Deadline::duration a_little = Deadline::duration(loss_.patience) / 100;
  return arrived_at_ + a_little >= pushed_at_ ? pushed_at_ + a_little : Deadline::min();
}

std::string CoordinatorSource::Obstacle(uint64_t step) {
  const absl::Status met = link_.obstacle();
  return absl::StrCat("step ", step, " is not committed yet; ",
                      met.ok() ? "it waits for the other contributors"
                               : absl::StrCat("the last failed attempt to deliver its counts met ", met.ToString()));
}

absl::StatusOr<bool> CoordinatorSource::Await(uint64_t step, Deadline deadline, v1::CommittedVersion* version) {
  MutexLock lock(&mutex_);
  const uint64_t due = DueVersion(step, spec_.lag(), first_version_);
  awaited_ = due;
  while (!Has(due)) {
    EVENKEEL_RETURN_IF_ERROR(outcome_);
    const Deadline gives_up = GivesUpAt();
    if (Now() >= gives_up) return DoWithout(step, due, version);
    if (Now() >= deadline) return absl::DeadlineExceededError(Obstacle(due));
    changed_.WaitUntil(&mutex_, std::min(deadline, gives_up));
  }
  lost_ = false;
  continuation_.reset();
  return Give(due, version);
}

bool CoordinatorSource::MayRoute(uint64_t step) const {
  return !arrived_.empty() && arrived_.back().version().step() + job::kKeptVersions >= step;
}

absl::StatusOr<bool> CoordinatorSource::DoWithout(uint64_t step, uint64_t due, v1::CommittedVersion* version) {
  lost_ = true;
  switch (loss_.on_loss) {
    case OnLoss::kFail:
      outcome_ = absl::UnavailableError(Obstacle(due));
      return outcome_;
    case OnLoss::kLocal:
      return MoveOn(due, version);
    default:
      return MayRoute(step) && Give(due, version);
  }
}

absl::StatusOr<bool> CoordinatorSource::MoveOn(uint64_t due, v1::CommittedVersion* version) {
  if (continuation_ == nullptr) {
    Give(due, version);
    EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, job::PlanStoredJob(spec_, /*fingerprint=*/0));
    continuation_ = std::make_unique<Continuation>(std::move(plan), given_);
    moved_on_to_ = given_.version().step();
  }
  while (moved_on_to_ < due) {
    StepCounts* const counts = log_.Find(moved_on_to_ + 1);
    EVENKEEL_CHECK(counts != nullptr);
    EVENKEEL_RETURN_IF_ERROR(counts->Arrive());
    EVENKEEL_RETURN_IF_ERROR(continuation_->Advance(*counts));
    ++moved_on_to_;
  }
  *version = continuation_->Version();
  *version->mutable_version() = given_.version();
  bias_checksum_ = BiasChecksum(version->bias());
  return true;
}

absl::StatusOr<bool> CoordinatorSource::Leave(Deadline deadline, v1::CommittedVersion* version) {
  {
    MutexLock lock(&mutex_);
    while (!log_.empty()) {
      EVENKEEL_RETURN_IF_ERROR(outcome_);
      if (Now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat(log_.size(), " steps are not delivered yet; ", Obstacle(log_.front().step)));
      }
      changed_.WaitUntil(&mutex_, deadline);
    }
  }
  EVENKEEL_RETURN_IF_ERROR(link_.Leave(deadline));
  MutexLock lock(&mutex_);
  continuation_.reset();
  return Give(UINT64_MAX, version);
}

BiasSource::Backlog CoordinatorSource::backlog() {
  MutexLock lock(&mutex_);
  return {log_.size(), log_.lost()};
}

// ---------------------------------------------------------------------------------------------------------------------
// The delivering thread

void CoordinatorSource::Run() {
  absl::Status status;
  v1::CommittedVersion version;
  while (status.ok() && TakeNext()) {
    status = Deliver(&version);
    MutexLock lock(&mutex_);
    if (status.ok()) {
      Arrived(&version);
    } else if (outcome_.ok()) {
      outcome_ = status;
    }
    changed_.NotifyAll();
  }
}

bool CoordinatorSource::TakeNext() {
  MutexLock lock(&mutex_);
  while (!stopping_ && log_.empty()) changed_.Wait(&mutex_);
  if (stopping_) return false;
  const PushLog::Step& step = log_.front();
  push_.set_step(step.step);
  *push_.mutable_routed_with() = step.routed_with;
  push_.set_provisional(step.provisional);
  push_.set_ok(step.ok);
  push_.set_replayed(step.replayed);
  delivered_ = step.counts.get();
  delivered_bias_ = step.bias_checksum;
  return true;
}

absl::Status CoordinatorSource::Deliver(v1::CommittedVersion* version) {
  if (delivered_ != nullptr) {
    EVENKEEL_RETURN_IF_ERROR(delivered_->Arrive());
    EVENKEEL_RETURN_IF_ERROR(CheckRefused(owned_.rows, *delivered_));
    PackStep(*delivered_, owned_, &push_);
    PackChecks(*delivered_, delivered_bias_, ranks_, &push_);
  } else {
    PackLoss(&push_);
  }
  return link_.Deliver(Deadline::max(), &push_, version);
}

void CoordinatorSource::Arrived(v1::CommittedVersion* version) {
  log_.PopFront();
  arrived_at_ = Now();
  // Nothing waits for the coordinator any more: the next version is as good as those before the loss.
  if (log_.empty()) lost_ = false;
  // One that is followed by another that may be given will never be.
  if (!arrived_.empty() && version->version().step() <= awaited_) arrived_.clear();
  arrived_.emplace_back().Swap(version);
}

}  // namespace evenkeel::client
