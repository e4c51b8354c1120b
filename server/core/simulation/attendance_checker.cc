#include "server/core/simulation/attendance_checker.h"

#include <algorithm>

namespace evenkeel::core::simulation {
namespace {

using Policy = v1::JobSpec::MissingPolicy;

absl::Duration Limit(uint64_t milliseconds) {
  return milliseconds == 0 ? absl::InfiniteDuration() : absl::Milliseconds(milliseconds);
}

}  // namespace

AttendanceChecker::AttendanceChecker(const v1::JobSpec& spec, Journal* journal)
    : spec_(spec),
      journal_(journal),
      deadline_(Limit(spec.membership().step_deadline_ms())),
      timeout_(Limit(spec.membership().heartbeat_timeout_ms())),
      contributors_(spec.contributors()) {}

template <typename... Words>
void AttendanceChecker::Complain(const Words&... words) {
  journal_->Complain(spec_.name(), ": ", words...);
}

// ---------------------------------------------------------------------------------------------------------------------
// Who is here

void AttendanceChecker::Begin(absl::Time now, uint64_t epoch) {
  epoch_ = epoch;
  grace_until_ = now + absl::Milliseconds(spec_.membership().recovery_grace_ms());
  pushed_.clear();
  first_push_ = absl::InfiniteFuture();
  failed_.clear();
  for (Contributor& contributor : contributors_) contributor.late = contributor.surely_late = false;
}

void AttendanceChecker::Forget() {
  Begin(absl::InfinitePast(), /*epoch=*/0);
  contributors_.assign(contributors_.size(), Contributor());
}

void AttendanceChecker::OnLife(absl::Time now, uint64_t epoch, const JobRecord& record) {
  Forget();
  Begin(now, epoch);
  for (const v1::Member& member : record.members) {
    Contributor& contributor = contributors_[member.contributor()];
    contributor.left = member.left();
    contributor.known = member.left() || member.incarnation() != 0;
  }
}

void AttendanceChecker::OnJoin(absl::Time now, const v1::JoinRequest& request, uint64_t epoch) {
  if (epoch < epoch_) Complain("epoch ", epoch, " is joined after epoch ", epoch_);
  if (epoch_ == 0) epoch_ = epoch;  // a new job needs no grace
  if (epoch > epoch_) Begin(now, epoch);
  if (failed_.count(request.incarnation()) > 0) Complain("a process of the failed job joins again");
  Contributor& contributor = contributors_[request.contributor()];
  if (contributor.incarnation != request.incarnation()) Withdraw(request.contributor());
  contributor = Contributor();
  contributor.incarnation = request.incarnation();
  contributor.epoch = epoch;
  contributor.first_step = request.next_step();
  contributor.known = true;
  contributor.heard = contributor.perhaps_heard = now;
}

void AttendanceChecker::OnLeave(const v1::LeaveRequest& request) {
  Contributor& contributor = contributors_[request.contributor()];
  // The coordinator has let the one go that holds the slot, or there was none.
  Withdraw(request.contributor());
  contributor.incarnation = 0;
  contributor.left = true;
}

void AttendanceChecker::OnHeardOf(absl::Time now, int number, uint64_t incarnation, bool for_certain) {
  Contributor& contributor = contributors_[number];
  if (contributor.incarnation != incarnation) return;
  contributor.perhaps_heard = now;
  if (for_certain) contributor.heard = now;
}

void AttendanceChecker::OnPushOf(absl::Time now, int number, uint64_t incarnation, bool for_certain) {
  OnHeardOf(now, number, incarnation, for_certain);
  Contributor& contributor = contributors_[number];
  if (contributor.incarnation != incarnation) return;
  contributor.late = contributor.late && !for_certain;
  contributor.surely_late = false;
}

void AttendanceChecker::OnAccepted(absl::Time now, const v1::PushRequest& push) {
  const Contributor& contributor = contributors_[push.contributor()];
  if (!Holds(contributor) || contributor.incarnation != push.incarnation() || push.epoch() != epoch_) {
    Complain("a push of step ", push.step(), " counts, of a process that does not hold its slot");
  }
  OnPushOf(now, push.contributor(), push.incarnation(), /*for_certain=*/true);
  if (pushed_.empty()) first_push_ = now;
  pushed_.insert(push.contributor());
}

void AttendanceChecker::Withdraw(int contributor) {
  pushed_.erase(contributor);
  if (pushed_.empty()) first_push_ = absl::InfiniteFuture();
}

// ---------------------------------------------------------------------------------------------------------------------
// What becomes of who is not

bool AttendanceChecker::MayBeLost(const Contributor& contributor, absl::Time now) const {
  return !InGrace(now) && contributor.known && (!Holds(contributor) || now >= contributor.heard + timeout_);
}

bool AttendanceChecker::IsLost(const Contributor& contributor, absl::Time now) const {
  return !InGrace(now) && Holds(contributor) && now >= contributor.perhaps_heard + timeout_;
}

bool AttendanceChecker::IsExcused(const Contributor& contributor, absl::Time now) const {
  return IsLost(contributor, now) || contributor.surely_late || (contributor.left && contributor.known);
}

bool AttendanceChecker::MayBeLeftBehind(const Contributor& contributor, uint64_t step, absl::Time now) const {
  const bool coming = Holds(contributor) && contributor.first_step > step;
  return contributor.left || contributor.late || coming || IsOverdue(now) || MayBeLost(contributor, now);
}

void AttendanceChecker::OnCommit(absl::Time now, uint64_t step) {
  const int without = spec_.contributors() - static_cast<int>(pushed_.size());
  const bool goes_on_without = spec_.missing_policy() == Policy::COMMIT_WITHOUT;
  if (without > 0 && !goes_on_without) Complain("step ", step, " is committed without ", without, " contributors");
  if (static_cast<int>(pushed_.size()) < spec_.membership().min_contributors() && goes_on_without) {
    Complain("step ", step, " is committed with the pushes of ", pushed_.size(), ", too few");
  }
  if (without > 0) journal_->Count(IsOverdue(now) ? "step without some, overdue" : "step without some, in time");
  const bool overdue = IsOverdue(now);
  for (int i = 0; i < spec_.contributors(); ++i) {
    if (pushed_.count(i) > 0) continue;
    Contributor& contributor = contributors_[i];
    if (!MayBeLeftBehind(contributor, step, now)) {
      Complain("step ", step, " is committed without contributor ", i, ", which is alive and in time");
    }
    if (contributor.first_step > step) continue;  // it is not late for this one
    const bool is_alive = Holds(contributor) && !MayBeLost(contributor, now);
    contributor.late = contributor.late || overdue;
    contributor.surely_late = is_alive && (contributor.surely_late || overdue);
  }
  pushed_.clear();
  first_push_ = absl::InfiniteFuture();
}

void AttendanceChecker::OnTick(absl::Time now) {
  const bool enough = static_cast<int>(pushed_.size()) >= std::max(1, spec_.membership().min_contributors());
  int lost = 0;
  int excused = 0;
  for (int i = 0; i < spec_.contributors(); ++i) {
    if (pushed_.count(i) > 0) continue;
    lost += IsLost(contributors_[i], now);
    excused += IsExcused(contributors_[i], now);
  }
  const int others = spec_.contributors() - static_cast<int>(pushed_.size());
  if (spec_.missing_policy() == Policy::COMMIT_WITHOUT && enough) {
    if (IsOverdue(now)) Complain("a step that ", pushed_.size(), " have pushed waits beyond its deadline");
    if (excused == others) Complain("a step that ", pushed_.size(), " have pushed waits for nobody");
  }
  if (spec_.missing_policy() == Policy::FAIL && !pushed_.empty()) {
    if (IsOverdue(now)) Complain("the job goes on beyond the deadline of its step");
    if (lost > 0) Complain("the job goes on with a contributor that is lost");
  }
}

void AttendanceChecker::OnSummary(absl::Time now, const v1::JobSummary& summary) {
  if (summary.epoch() != epoch_ || summary.failure().empty() || summary.joined() > 0) return;
  const bool anyone =
      std::any_of(contributors_.begin(), contributors_.end(), [this](const Contributor& c) { return Holds(c); });
  if (anyone) OnFailure(now);
}

void AttendanceChecker::OnFailure(absl::Time now) {
  journal_->Count("job failed");
  if (InGrace(now)) Complain("the job fails in the grace");
  bool excuse = IsOverdue(now);
  for (int i = 0; i < spec_.contributors(); ++i) {
    excuse = excuse || (pushed_.count(i) == 0 && MayBeLost(contributors_[i], now));
  }
  if (!excuse) Complain("the job fails while all are alive and in time");
  for (Contributor& contributor : contributors_) {
    if (contributor.incarnation != 0) failed_.insert(contributor.incarnation);
    contributor.incarnation = 0;
  }
  pushed_.clear();
  first_push_ = absl::InfiniteFuture();
}

}  // namespace evenkeel::core::simulation
