#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "kernels/balance/update.h"
#include "server/core/job.h"
#include "server/core/job_events.h"

namespace evenkeel::core {
namespace {

// Calls with one push that may wait at once.
constexpr int kMaxCallsPerSlot = 8;

// Of a contributor that has not pushed: as if it had lost its counts. If it never joined, it may own anything.
RankEvidence NoEvidence(const job::JobPlan& plan) {
  RankEvidence evidence;
  evidence.counts_lost = true;
  evidence.owned.resize(plan.layers.size());
  std::iota(evidence.owned.begin(), evidence.owned.end(), 0);
  return evidence;
}

bool Same(const v1::Version& a, const v1::Version& b) { return a.epoch() == b.epoch() && a.step() == b.step(); }

}  // namespace

absl::Status Job::CheckSender(int contributor, uint64_t incarnation, uint64_t epoch) const {
  if (epoch > epoch_) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::EPOCH_AHEAD,
                 absl::StrCat("the caller joined in epoch ", epoch, ", this coordinator is in ", epoch_,
                              "; it is not the job's newest coordinator"));
  }
  if (contributor < 0 || contributor >= static_cast<int>(slots_.size())) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("contributor is ", contributor, "; 0 to ", slots_.size() - 1, " are allowed"));
  }
  const Slot& slot = slots_[contributor];
  if (WasReplaced(slot.member, incarnation)) {
    return Error(absl::StatusCode::kAlreadyExists, Reason::REPLACED,
                 absl::StrCat("a newer incarnation holds contributor ", contributor));
  }
  if (slot.failed && slot.member.incarnation() == incarnation) return failure_;
  if (epoch < epoch_) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::STALE_EPOCH,
                 absl::StrCat("the caller joined in epoch ", epoch, ", the coordinator has restarted into ", epoch_,
                              "; join again, then push again"));
  }
  if (!slot.joined || slot.member.incarnation() != incarnation) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::NOT_JOINED,
                 absl::StrCat("contributor ", contributor, " has not joined as this incarnation; join first"));
  }
  return absl::OkStatus();
}

PushResult Job::AnswerLate(const Slot& slot, CallId call, const v1::PushRequest& push, Effects* effects) const {
  if (push.step() <= slot.member.joined_after()) {
    return Refuse(call,
                  Error(absl::StatusCode::kFailedPrecondition, Reason::LATE_STEP,
                        absl::StrCat("step ", push.step(), " was committed before contributor ", push.contributor(),
                                     " joined; its counts are not in it")),
                  effects);
  }
  if (slot.committed_step == push.step() && slot.committed_hash != PayloadHash(push)) {
    return Refuse(call,
                  Error(absl::StatusCode::kInvalidArgument, Reason::PAYLOAD_DIFFERS,
                        absl::StrCat("contributor ", push.contributor(), " pushed step ", push.step(),
                                     " before, with other contents")),
                  effects);
  }
  // A contributor's pushes come in order: whoever repeats one has not gone beyond it, and the newest version serves.
  effects->answers.push_back({call, reply_});
  return PushResult::kLate;
}

PushResult Job::AnswerRepeated(CallId call, uint64_t payload_hash, Slot* slot, Effects* effects) const {
  if (slot->payload_hash != payload_hash) {
    return Refuse(call,
                  Error(absl::StatusCode::kInvalidArgument, Reason::PAYLOAD_DIFFERS,
                        absl::StrCat("contributor ", slot->member.contributor(), " pushed step ", open_step(),
                                     " before, with other contents")),
                  effects);
  }
  slot->calls.push_back(call);
  // The newest is the one whose caller is alive: the others may wait in connections that died without a word.
  if (slot->calls.size() > kMaxCallsPerSlot) {
    Refuse(slot->calls.front(),
           Error(absl::StatusCode::kUnavailable, Reason::LIMIT_EXCEEDED,
                 absl::StrCat("contributor ", slot->member.contributor(), " has made this push ", kMaxCallsPerSlot,
                              " times since; the newest calls wait on")),
           effects);
    slot->calls.erase(slot->calls.begin());
  }
  return PushResult::kDuplicate;
}

const VersionRecord* Job::Kept(uint64_t step) const {
  const uint64_t first = versions_.front().step;
  return step >= first && step - first < versions_.size() ? &versions_[step - first] : nullptr;
}

v1::Version Job::Due() const {
  const VersionRecord* due = Kept(job::DueStep(plan_, open_step(), versions_.front().step));
  EVENKEEL_CHECK(due != nullptr);
  v1::Version version;
  version.set_epoch(due->epoch);
  version.set_step(due->step);
  return version;
}

// A contributor that cannot hear of versions goes on with the one that it has, for longer than versions are kept.
bool Job::Knows(const v1::Version& version) const {
  const VersionRecord* kept = Kept(version.step());
  if (kept != nullptr) return kept->epoch == version.epoch();
  if (version.epoch() == 0) return false;  // the move before the first has none
  const auto is = [&](const v1::Version& stale) { return Same(stale, version); };
  return is(move_.routed_with) || std::any_of(state_.stale_versions.begin(), state_.stale_versions.end(), is);
}

// The tokens of a step are routed with the version that is due, or an older one; anything else is a worker of another
// run, or one that has been away too long to be judged.
absl::Status Job::CheckRoutedWith(const v1::PushRequest& push) const {
  const v1::Version due = Due();
  if (push.routed_with().step() <= due.step() && Knows(push.routed_with())) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::UNKNOWN_VERSION,
               absl::StrCat("routed_with is {epoch ", push.routed_with().epoch(), ", step ", push.routed_with().step(),
                            "}; step ", push.step(), " is to be routed with {epoch ", due.epoch(), ", step ",
                            due.step(), "}, or with an older version that is remembered"));
}

// Whether a push may make the open step join the move before it.
bool Job::MayJoinMove(const v1::PushRequest& push) const {
  return !push.provisional() && !push.counts_lost() && Same(push.routed_with(), move_.routed_with) &&
         push.routed_with().step() < Due().step();
}

// What is kept since a layer's last update, or was counted by the move that the step may join, may not outgrow what an
// update can hold.
absl::Status Job::CheckRoom(const Slot& slot, bool may_join) const {
  const std::vector<uint64_t>& tokens_of_owned = slot.contribution.tokens();
  std::vector<uint64_t> added(plan_.layers.size());
  for (size_t row = 0; row < tokens_of_owned.size(); ++row) added[slot.owned[row]] = tokens_of_owned[row];
  for (int index = 0; index < plan_.layers.size(); ++index) {
    const job::LayerTable::Row& layer = plan_.layers[index];
    const uint64_t kept = state_.layers[index].balance.tokens;
    const uint64_t moved = may_join ? move_.base->layers[index].balance.tokens + move_.sums.tokens[index] : 0;
    const unsigned __int128 tokens =
        static_cast<unsigned __int128>(std::max(kept, moved)) + sums_.tokens[index] + added[index];
    if (tokens * layer.top_k <= balance::kMaxCountSum) continue;
    return Error(absl::StatusCode::kInvalidArgument, Reason::COUNTS_INCONSISTENT,
                 absl::StrCat(Quoted(layer), ": ", added[index],
                              " more valid_tokens make more than an update can hold (2^48 assignments)"));
  }
  return absl::OkStatus();
}

PushResult Job::Push(absl::Time now, CallId call, v1::PushRequest* push, Effects* effects) {
  SetNow(now);
  absl::Status status = CheckSender(push->contributor(), push->incarnation(), push->epoch());
  if (!status.ok()) {
    NoteSuccessor(status, push->contributor(), push->incarnation(), effects);
    return Refuse(call, std::move(status), effects);
  }
  Slot& slot = slots_[push->contributor()];
  slot.heard = slot.last_push = last_used_ = now_;
  slot.late = false;
  if (push->step() <= committed_step()) return AnswerLate(slot, call, *push, effects);
  if (push->step() > open_step()) {
    return Refuse(call,
                  Error(absl::StatusCode::kFailedPrecondition, Reason::FUTURE_STEP,
                        absl::StrCat("step ", push->step(), " is not open; step ", open_step(), " is")),
                  effects);
  }
  const uint64_t payload_hash = PayloadHash(*push);
  if (slot.pushed) return AnswerRepeated(call, payload_hash, &slot, effects);

  status = CheckRoutedWith(*push);
  if (!status.ok()) return Refuse(call, std::move(status), effects);
  absl::StatusOr<RankEvidence> evidence = EvidenceOf(*push, slot.member.ranks(), slot.owned);
  if (!evidence.ok()) return Refuse(call, WithJob(evidence.status()), effects);
  status = slot.contribution.Take(plan_.layers, slot.owned, push);
  if (!status.ok()) {
    NoteRefusal(status, &slot, effects);
    return Refuse(call, WithJob(status), effects);
  }
  const bool may_join = may_join_ || MayJoinMove(*push);
  status = CheckRoom(slot, may_join);
  if (!status.ok()) {
    slot.contribution.Clear();
    return Refuse(call, std::move(status), effects);
  }

  slot.contribution.AddTo(plan_.layers, slot.owned, &sums_);
  slot.evidence = *std::move(evidence);
  slot.payload_hash = payload_hash;
  slot.ok = push->ok();
  slot.routed_with = push->routed_with();
  slot.provisional = push->provisional();
  slot.counts_lost = push->counts_lost();
  slot.replayed = push->replayed();
  slot.pushed = true;
  slot.calls.push_back(call);
  may_join_ = may_join;
  if (pushed_++ == 0) first_push_ = now_;
  if (pushed_ + excused_ >= static_cast<int>(slots_.size())) Review(effects);
  return PushResult::kAccepted;
}

void Job::NoteRefusal(const absl::Status& status, Slot* slot, Effects* effects) const {
  const Reason::Reason reason = ReasonOf(status);
  const bool violates = reason == Reason::COUNTS_INCONSISTENT || reason == Reason::DISPATCHED_INCONSISTENT;
  if (!violates || slot->refused_step == open_step()) return;
  slot->refused_step = open_step();
  effects->violations.push_back(
      {name(), open_step(), RefusedCounts(status, slot->member.contributor(), slot->member.ranks())});
}

void Job::Report(std::vector<v1::Violation> violations, Effects* effects) {
  job::HaltFor(plan_, violations, open_step(), &state_);
  for (v1::Violation& violation : violations) {
    effects->violations.push_back({name(), committed_step(), violation});
    state_.violations.push_back(std::move(violation));
  }
}

job::CommitInputs Job::Inputs() const {
  const v1::Version due = Due();
  job::CommitInputs inputs;
  inputs.version.set_epoch(epoch_);
  inputs.version.set_step(open_step());
  std::map<uint64_t, v1::Version> stale_versions;
  for (const Slot& slot : slots_) {
    if (!slot.pushed) continue;
    inputs.ok = inputs.ok && slot.ok;
    inputs.replayed = inputs.replayed || slot.replayed;
    const uint64_t routed_with = slot.routed_with.step();
    if (routed_with < due.step()) stale_versions[routed_with] = slot.routed_with;
    if (slot.counts_lost) continue;
    inputs.participants.push_back(slot.member.contributor());
    inputs.staleness = std::max(inputs.staleness, due.step() - routed_with);
  }
  for (auto& [step, version] : stale_versions) inputs.stale_versions.push_back(std::move(version));
  std::vector<RankEvidence> evidence;
  for (const Slot& slot : slots_) evidence.push_back(slot.pushed ? slot.evidence : NoEvidence(plan_));
  inputs.violations = FindViolations(plan_, state_, inputs.ok, sums_, evidence);
  return inputs;
}

// Of what moves the bias: contributors that moved it on by themselves, and those that have lost their counts, do not
// say.
v1::Version Job::OldestRoutedWith() const {
  v1::Version oldest = Due();
  for (const Slot& slot : slots_) {
    if (!slot.pushed || slot.provisional || slot.counts_lost) continue;
    if (slot.routed_with.step() < oldest.step()) oldest = slot.routed_with;
  }
  return oldest;
}

void Job::Commit(Effects* effects) {
  if (timeline_.At(open_step()).from_step() == open_step()) plan_ = PlanAt(std::move(plan_), timeline_, open_step());
  const v1::Version routed_with = OldestRoutedWith();
  const bool stale = routed_with.step() < Due().step();
  job::CommitRoutedStep(plan_, Inputs(), routed_with, stale, sums_, &state_, &move_);
  if (plan_.effective.lag() == 1) previous_ = reply_;
  reply_ = job::CommittedVersionOf(plan_, state_);
  const VersionRecord record = RecordOf(state_);
  versions_.push_back(record);
  if (static_cast<int>(versions_.size()) > kKeptVersions) versions_.erase(versions_.begin());

  effects->writes.push_back({name(), std::make_shared<const v1::JobState>(State()), epoch_, {record}, /*members=*/{}});
  effects->writes.back().commit = RoutedStep{routed_with, stale};
  effects->commits.push_back({name(), committed_step(), now_ - first_push_, reply_->tokens(), reply_->staleness(),
                              /*lost=*/{}, /*missing=*/{}});
  for (const v1::Violation& violation : state_.violations) {
    effects->violations.push_back({name(), committed_step(), violation});
  }
  for (Slot& slot : slots_) {
    if (!slot.pushed) continue;
    if (slot.counts_lost) effects->commits.back().lost.push_back(slot.member.contributor());
    for (const CallId call : slot.calls) effects->answers.push_back({call, reply_});
    slot.calls.clear();
    slot.committed_hash = slot.payload_hash;
    slot.committed_step = committed_step();
    slot.contribution.Clear();
    slot.pushed = false;
  }
  sums_.Clear();
  pushed_ = 0;
  may_join_ = false;
  first_push_ = absl::InfiniteFuture();
  if (stragglers_.empty()) told_stragglers_.clear();
  stragglers_.clear();
}

}  // namespace evenkeel::core
