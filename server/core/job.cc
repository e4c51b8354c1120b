#include "server/core/job.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "job/initial_bias.h"
#include "kernels/balance/update.h"

namespace evenkeel::core {
namespace {

constexpr int kKeptReplaced = 16;
// Repetitions of one push that may wait at once.
constexpr int kMaxCallsPerSlot = 8;

using Reason = v1::ErrorDetail;

bool WasReplaced(const v1::Member& member, uint64_t incarnation) {
  return std::find(member.replaced().begin(), member.replaced().end(), incarnation) != member.replaced().end();
}

std::vector<int> RanksOf(const v1::JoinRequest& request) {
  if (request.ranks_size() == 0) return {request.contributor()};
  return {request.ranks().begin(), request.ranks().end()};
}

PushResult Refuse(CallId call, absl::Status status, Effects* effects) {
  effects->answers.push_back({call, std::move(status)});
  return PushResult::kRefused;
}

bool Same(const v1::Version& a, const v1::Version& b) { return a.epoch() == b.epoch() && a.step() == b.step(); }

VersionRecord RecordOf(const job::JobState& state) {
  return {state.version.step(), state.version.epoch(), state.ok, job::StateHash(state)};
}

absl::Status Damaged(const JobRecord& record, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("job \"", absl::CHexEscape(record.state.spec().name()), "\": ", what));
}

// The kept versions end at the state's own, without a gap.
absl::Status CheckVersions(const JobRecord& record) {
  const v1::Version& newest = record.state.version();
  const std::vector<VersionRecord>& versions = record.versions;
  bool fits = !versions.empty() && versions.back().step == newest.step() && versions.back().epoch == newest.epoch() &&
              newest.epoch() <= record.epoch;
  for (size_t i = 1; i < versions.size(); ++i) fits = fits && versions[i].step == versions[i - 1].step + 1;
  if (fits) return absl::OkStatus();
  return Damaged(record, absl::StrCat("the ", versions.size(), " kept versions do not lead to step ", newest.step(),
                                      " of epoch ", newest.epoch(), " in epoch ", record.epoch));
}

}  // namespace

Job::Job(job::JobPlan plan, job::JobState state)
    : plan_(std::move(plan)),
      state_(std::move(state)),
      move_(job::InitialMove(plan_, state_)),
      reply_(job::CommittedVersionOf(plan_, state_)),
      sums_(plan_.layers) {
  slots_.resize(plan_.effective.contributors());
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].member.set_contributor(i);
}

v1::JobState Job::State() const {
  v1::JobState message = ToProto(plan_, state_);
  if (move_.routed_with.epoch() != 0) *message.mutable_move() = ToProto(plan_, state_, move_);
  return message;
}

absl::StatusOr<Job> Job::Create(job::JobPlan plan, absl::Span<const float> initial_bias, Effects* effects) {
  job::JobState state = job::InitialJobState(plan);
  EVENKEEL_RETURN_IF_ERROR(job::SetInitialBias(plan, initial_bias, &state));
  Job job(std::move(plan), std::move(state));
  job.epoch_ = job.state_.version.epoch();
  job.versions_ = {RecordOf(job.state_)};
  effects->writes.push_back(
      {job.name(), std::make_shared<const v1::JobState>(job.State()), job.epoch_, job.versions_, /*members=*/{}});
  return job;
}

absl::StatusOr<Job> Job::Restore(const JobRecord& record, Effects* effects) {
  absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(record.state.spec(), record.state.fingerprint());
  if (!plan.ok()) return Damaged(record, plan.status().message());
  absl::StatusOr<job::JobState> state = FromProto(*plan, record.state);
  if (!state.ok()) return Damaged(record, state.status().message());
  EVENKEEL_RETURN_IF_ERROR(CheckVersions(record));
  Job job(*std::move(plan), *std::move(state));
  job.epoch_ = record.epoch + 1;
  job.versions_ = record.versions;
  EVENKEEL_RETURN_IF_ERROR(job.RestoreEarlier(record));
  for (const v1::Member& member : record.members) {
    if (member.contributor() < 0 || member.contributor() >= static_cast<int>(job.slots_.size())) {
      return Damaged(record, absl::StrCat("a member is contributor ", member.contributor(), " of ", job.slots_.size()));
    }
    job.slots_[member.contributor()].member = member;
  }
  effects->writes.push_back({job.name(), /*state=*/nullptr, job.epoch_, /*versions=*/{}, /*members=*/{}});
  return job;
}

// What the earlier states of the record are kept for.
absl::Status Job::RestoreEarlier(const JobRecord& record) {
  const v1::JobState& newest = record.state;
  for (const uint64_t step : EarlierSteps(newest)) {
    const auto found = std::find_if(record.earlier.begin(), record.earlier.end(),
                                    [step](const v1::JobState& state) { return state.version().step() == step; });
    if (found == record.earlier.end()) {
      return Damaged(record, absl::StrCat("the state of step ", step, " is missing, which that of step ",
                                          newest.version().step(), " needs"));
    }
    absl::StatusOr<job::JobState> state = FromProto(plan_, *found);
    if (!state.ok()) return Damaged(record, state.status().message());
    if (plan_.effective.lag() == 1 && step + 1 == committed_step()) previous_ = job::CommittedVersionOf(plan_, *state);
    if (!newest.has_move() || step != newest.move().base_step()) continue;
    absl::StatusOr<job::Move> move =
        MoveFromProto(plan_, state_, newest.move(), std::make_shared<const job::JobState>(*std::move(state)));
    if (!move.ok()) return Damaged(record, move.status().message());
    move_ = *std::move(move);
  }
  return absl::OkStatus();
}

absl::Status Job::Error(absl::StatusCode code, Reason::Reason reason, absl::string_view message) const {
  v1::ErrorDetail detail;
  detail.set_reason(reason);
  detail.set_open_step(open_step());
  detail.set_epoch(epoch_);
  return ServiceError(code, detail, absl::StrCat("job \"", name(), "\": ", message));
}

absl::Status Job::WithJob(const absl::Status& error) const {
  return Error(error.code(), ReasonOf(error), error.message());
}

// ---------------------------------------------------------------------------------------------------------------------
// Join and Leave

absl::Status Job::CheckSpec(const job::JobPlan& plan) const {
  if (plan.fingerprint == plan_.fingerprint) return absl::OkStatus();
  const std::string difference = job::FirstDifference(plan_.effective, plan.effective);
  if (difference.empty()) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::SPEC_MISMATCH,
               absl::StrCat("exists with another spec (left: as it is, right: as asked for): ", difference));
}

// A rank that starts again from a later checkpoint has no use for the bias that the job began with.
absl::Status Job::CheckInitialBias(const v1::JoinRequest& request) const {
  if (request.initial_bias().empty() && committed_step() > 0) return absl::OkStatus();
  const bool fits = request.initial_bias().empty() || request.initial_bias_size() == plan_.layers.total_experts();
  if (fits && job::InitialBiasHash(plan_, request.initial_bias()) == state_.initial_bias_hash) return absl::OkStatus();
  const auto describe = [](uint64_t hash) {
    return hash == 0 ? std::string("0") : absl::StrFormat("of hash %016x", hash);
  };
  return Error(absl::StatusCode::kFailedPrecondition, Reason::SPEC_MISMATCH,
               absl::StrCat("initial_bias: the job began with a bias ", describe(state_.initial_bias_hash),
                            ", and this contributor's is ",
                            fits ? describe(job::InitialBiasHash(plan_, request.initial_bias()))
                                 : absl::StrCat("of ", request.initial_bias_size(), " values"),
                            "; every contributor must bring the same"));
}

absl::Status Job::CheckRanks(const v1::JoinRequest& request) const {
  std::set<int> ranks;
  for (const int rank : RanksOf(request)) {
    if (rank < 0 || !ranks.insert(rank).second) {
      return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                   absl::StrCat("ranks: ", rank, " is negative or given twice"));
    }
  }
  for (const Slot& slot : slots_) {
    if (slot.member.contributor() == request.contributor()) continue;
    for (const int rank : slot.member.ranks()) {
      if (ranks.count(rank) == 0) continue;
      return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                   absl::StrCat("ranks: contributor ", slot.member.contributor(), " stands for rank ", rank,
                                " already; its tokens would be counted twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status Job::CheckNextStep(const Slot& slot, const v1::JoinRequest& request) const {
  const uint64_t next_step = request.next_step();
  if (next_step > open_step()) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::STEP_AHEAD,
                 absl::StrCat("next_step is ", next_step, ", but step ", open_step(),
                              " is open; is this the right coordinator, and has it its own state directory?"));
  }
  // Whoever was there when the job was at an earlier step may come back and ask for the answers it has not heard.
  const bool returning = slot.member.incarnation() == request.incarnation();
  const uint64_t earliest = returning ? slot.member.joined_after() + 1 : open_step();
  if (next_step < earliest) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::STEP_BEHIND,
                 absl::StrCat("next_step is ", next_step, ", but step ", committed_step(),
                              " is committed; resume at step ", open_step(), " or use another job name"));
  }
  return absl::OkStatus();
}

// When the last slot is taken, every layer must have someone who counts it.
absl::Status Job::CheckCoverage(int contributor, const std::vector<int>& owned) const {
  std::vector<bool> covered(plan_.layers.size());
  for (const int layer : owned) covered[layer] = true;
  for (const Slot& slot : slots_) {
    if (slot.member.contributor() == contributor) continue;
    if (!slot.joined) return absl::OkStatus();
    for (const int layer : slot.owned) covered[layer] = true;
  }
  const auto gap = std::find(covered.begin(), covered.end(), false);
  if (gap == covered.end()) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::UNCOVERED_LAYER,
               absl::StrCat("all ", slots_.size(), " contributors are here, and none owns layer \"",
                            plan_.layers[gap - covered.begin()].name, "\""));
}

void Job::TakeSlot(const v1::JoinRequest& request, std::vector<int> owned, Slot* slot, Effects* effects) {
  v1::Member& member = slot->member;
  if (member.incarnation() != request.incarnation()) {
    for (const CallId call : slot->calls) {
      Refuse(call,
             Error(absl::StatusCode::kAlreadyExists, Reason::REPLACED,
                   absl::StrCat("a newer incarnation holds contributor ", member.contributor())),
             effects);
    }
    Withdraw(slot);
    if (member.incarnation() != 0) {
      if (member.replaced_size() == kKeptReplaced) member.mutable_replaced()->erase(member.replaced().begin());
      member.add_replaced(member.incarnation());
    }
    member.set_incarnation(request.incarnation());
    member.set_joined_after(committed_step());
  }
  const std::vector<int> ranks = RanksOf(request);
  *member.mutable_ranks() = {ranks.begin(), ranks.end()};
  slot->joined = true;
  slot->owned = std::move(owned);
  slot->worker = request.worker();
  effects->writes.push_back(MemberWrite(*slot));
}

absl::StatusOr<v1::JoinResponse> Job::Join(const job::JobPlan& plan, const v1::JoinRequest& request, Effects* effects) {
  EVENKEEL_RETURN_IF_ERROR(CheckSpec(plan));
  if (request.contributor() < 0 || request.contributor() >= static_cast<int>(slots_.size())) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("contributor is ", request.contributor(), "; 0 to ", slots_.size() - 1, " are allowed"));
  }
  Slot& slot = slots_[request.contributor()];
  if (WasReplaced(slot.member, request.incarnation())) {
    return Error(absl::StatusCode::kAlreadyExists, Reason::REPLACED,
                 absl::StrCat("a newer incarnation holds contributor ", request.contributor()));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckInitialBias(request));
  EVENKEEL_RETURN_IF_ERROR(CheckRanks(request));
  EVENKEEL_RETURN_IF_ERROR(CheckNextStep(slot, request));
  absl::StatusOr<std::vector<int>> owned = plan_.layers.Indices(request.owned_layers());
  if (!owned.ok()) return WithJob(owned.status());
  if (slot.pushed && slot.member.incarnation() == request.incarnation() && slot.owned != *owned) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("owned_layers: contributor ", request.contributor(),
                              " has pushed the open step with other layers"));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckCoverage(request.contributor(), *owned));
  TakeSlot(request, *std::move(owned), &slot, effects);

  v1::JoinResponse response;
  response.set_epoch(epoch_);
  response.set_open_step(open_step());
  *response.mutable_effective() = plan_.effective;
  *response.mutable_version() = *reply_;
  if (previous_ != nullptr) *response.mutable_previous() = *previous_;
  return response;
}

absl::Status Job::Leave(const v1::LeaveRequest& request, Effects* effects) {
  if (request.contributor() < 0 || request.contributor() >= static_cast<int>(slots_.size())) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("contributor is ", request.contributor(), "; 0 to ", slots_.size() - 1, " are allowed"));
  }
  Slot& slot = slots_[request.contributor()];
  if (slot.member.incarnation() == 0) return absl::OkStatus();
  if (slot.member.incarnation() != request.incarnation()) {
    return Error(absl::StatusCode::kAlreadyExists, Reason::REPLACED,
                 absl::StrCat("another incarnation holds contributor ", request.contributor()));
  }
  for (const CallId call : slot.calls) {
    Refuse(call,
           Error(absl::StatusCode::kFailedPrecondition, Reason::NOT_JOINED,
                 absl::StrCat("contributor ", request.contributor(), " has left")),
           effects);
  }
  Withdraw(&slot);
  slot.member.set_incarnation(0);
  slot.member.clear_ranks();
  slot.worker.Clear();
  slot.joined = false;
  effects->writes.push_back(MemberWrite(slot));
  return absl::OkStatus();
}

// Takes the slot's push of the open step back.
void Job::Withdraw(Slot* slot) {
  slot->calls.clear();
  if (!slot->pushed) return;
  slot->contribution.SubtractFrom(plan_.layers, slot->owned, &sums_);
  slot->contribution = Contribution();
  slot->pushed = false;
  --pushed_;
}

Write Job::MemberWrite(const Slot& slot) const {
  return {name(), /*state=*/nullptr, epoch_, /*versions=*/{}, {slot.member}};
}

// ---------------------------------------------------------------------------------------------------------------------
// Push

absl::Status Job::CheckSender(const v1::PushRequest& push) const {
  if (push.epoch() > epoch_) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::EPOCH_AHEAD,
                 absl::StrCat("the push is of epoch ", push.epoch(), ", this coordinator is in ", epoch_,
                              "; it is not the job's newest coordinator"));
  }
  if (push.contributor() < 0 || push.contributor() >= static_cast<int>(slots_.size())) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("contributor is ", push.contributor(), "; 0 to ", slots_.size() - 1, " are allowed"));
  }
  const Slot& slot = slots_[push.contributor()];
  if (WasReplaced(slot.member, push.incarnation())) {
    return Error(absl::StatusCode::kAlreadyExists, Reason::REPLACED,
                 absl::StrCat("a newer incarnation holds contributor ", push.contributor()));
  }
  if (push.epoch() < epoch_) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::STALE_EPOCH,
                 absl::StrCat("the push is of epoch ", push.epoch(), ", the coordinator has restarted into ", epoch_,
                              "; join again, then push again"));
  }
  if (!slot.joined || slot.member.incarnation() != push.incarnation()) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::NOT_JOINED,
                 absl::StrCat("contributor ", push.contributor(), " has not joined as this incarnation; join first"));
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
  if (slot->calls.size() == kMaxCallsPerSlot) {
    return Refuse(call,
                  Error(absl::StatusCode::kResourceExhausted, Reason::LIMIT_EXCEEDED,
                        absl::StrCat("contributor ", slot->member.contributor(), " has ", kMaxCallsPerSlot,
                                     " repetitions of one push waiting")),
                  effects);
  }
  slot->calls.push_back(call);
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
absl::Status Job::CheckRoom(const Slot& slot, bool may_join, const Contribution& contribution) const {
  std::vector<uint64_t> added(plan_.layers.size());
  for (size_t row = 0; row < contribution.tokens().size(); ++row) added[slot.owned[row]] = contribution.tokens()[row];
  for (int index = 0; index < plan_.layers.size(); ++index) {
    const job::LayerTable::Layer& layer = plan_.layers[index];
    const uint64_t kept = state_.layers[index].balance.tokens;
    const uint64_t moved = may_join ? move_.base->layers[index].balance.tokens + move_.sums.tokens[index] : 0;
    const unsigned __int128 tokens =
        static_cast<unsigned __int128>(std::max(kept, moved)) + sums_.tokens[index] + added[index];
    if (tokens * layer.top_k <= balance::kMaxCountSum) continue;
    return Error(absl::StatusCode::kInvalidArgument, Reason::COUNTS_INCONSISTENT,
                 absl::StrCat("layer \"", layer.name, "\": ", added[index],
                              " more valid_tokens make more than an update can hold (2^48 assignments)"));
  }
  return absl::OkStatus();
}

PushResult Job::Push(absl::Time now, CallId call, v1::PushRequest* push, Effects* effects) {
  absl::Status status = CheckSender(*push);
  if (!status.ok()) return Refuse(call, std::move(status), effects);
  Slot& slot = slots_[push->contributor()];
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
  absl::StatusOr<Contribution> contribution = Contribution::Take(plan_.layers, slot.owned, push);
  if (!contribution.ok()) return Refuse(call, WithJob(contribution.status()), effects);
  const bool may_join = may_join_ || MayJoinMove(*push);
  status = CheckRoom(slot, may_join, *contribution);
  if (!status.ok()) return Refuse(call, std::move(status), effects);

  contribution->AddTo(plan_.layers, slot.owned, &sums_);
  slot.contribution = *std::move(contribution);
  slot.payload_hash = payload_hash;
  slot.ok = push->ok();
  slot.routed_with = push->routed_with();
  slot.provisional = push->provisional();
  slot.counts_lost = push->counts_lost();
  slot.pushed = true;
  slot.calls.push_back(call);
  may_join_ = may_join;
  if (pushed_++ == 0) first_push_ = now;
  if (pushed_ == static_cast<int>(slots_.size())) Commit(now, effects);
  return PushResult::kAccepted;
}

job::CommitInputs Job::Inputs() const {
  const v1::Version due = Due();
  job::CommitInputs inputs;
  inputs.version.set_epoch(epoch_);
  inputs.version.set_step(open_step());
  std::map<uint64_t, v1::Version> stale_versions;
  for (const Slot& slot : slots_) {
    inputs.ok = inputs.ok && slot.ok;
    const uint64_t routed_with = slot.routed_with.step();
    if (routed_with < due.step()) stale_versions[routed_with] = slot.routed_with;
    if (slot.counts_lost) continue;
    inputs.participants.push_back(slot.member.contributor());
    inputs.staleness = std::max(inputs.staleness, due.step() - routed_with);
  }
  for (auto& [step, version] : stale_versions) inputs.stale_versions.push_back(std::move(version));
  return inputs;
}

// Of what moves the bias: contributors that moved it on by themselves, and those that have lost their counts, do not
// say.
v1::Version Job::OldestRoutedWith() const {
  v1::Version oldest = Due();
  for (const Slot& slot : slots_) {
    if (slot.provisional || slot.counts_lost) continue;
    if (slot.routed_with.step() < oldest.step()) oldest = slot.routed_with;
  }
  return oldest;
}

void Job::Commit(absl::Time now, Effects* effects) {
  const v1::Version routed_with = OldestRoutedWith();
  const bool stale = routed_with.step() < Due().step();
  job::CommitRoutedStep(plan_, Inputs(), routed_with, stale, sums_, &state_, &move_);
  if (plan_.effective.lag() == 1) previous_ = reply_;
  reply_ = job::CommittedVersionOf(plan_, state_);
  const VersionRecord record = RecordOf(state_);
  versions_.push_back(record);
  if (static_cast<int>(versions_.size()) > kKeptVersions) versions_.erase(versions_.begin());

  effects->writes.push_back({name(), std::make_shared<const v1::JobState>(State()), epoch_, {record}, /*members=*/{}});
  effects->commits.push_back(
      {name(), committed_step(), now - first_push_, reply_->tokens(), reply_->staleness(), /*lost=*/{}});
  for (Slot& slot : slots_) {
    if (slot.counts_lost) effects->commits.back().lost.push_back(slot.member.contributor());
    for (const CallId call : slot.calls) effects->answers.push_back({call, reply_});
    slot.calls.clear();
    slot.committed_hash = slot.payload_hash;
    slot.committed_step = committed_step();
    slot.contribution = Contribution();
    slot.pushed = false;
  }
  std::fill(sums_.counts.begin(), sums_.counts.end(), 0);
  std::fill(sums_.tokens.begin(), sums_.tokens.end(), 0);
  pushed_ = 0;
  may_join_ = false;
}

void Job::Cancel(CallId call) {
  for (Slot& slot : slots_) {
    slot.calls.erase(std::remove(slot.calls.begin(), slot.calls.end(), call), slot.calls.end());
  }
}

void Job::AnswerAll(const absl::Status& status, Effects* effects) {
  for (Slot& slot : slots_) {
    for (const CallId call : slot.calls) effects->answers.push_back({call, status});
    slot.calls.clear();
  }
}

}  // namespace evenkeel::core
