#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "job/initial_bias.h"
#include "server/core/job.h"
#include "server/core/job_events.h"

namespace evenkeel::core {
namespace {

std::vector<int> RanksOf(const v1::JoinRequest& request) {
  if (request.ranks_size() == 0) return {request.contributor()};
  return {request.ranks().begin(), request.ranks().end()};
}

}  // namespace

// Workers are told what the job was made with; one that is started later may know what is in force by now.
absl::Status Job::CheckSpec(const job::JobPlan& plan) const {
  if (plan.fingerprint == plan_.fingerprint) return absl::OkStatus();
  const v1::JobSpec first = job::WithChange(plan_, timeline_.First())->effective;
  if (job::FirstDifference(first, plan.effective).empty()) return absl::OkStatus();
  const std::string difference = job::FirstDifference(InForce(), plan.effective);
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
  // Between steps: it is waited for from the next one on.
  const bool comes_between = next_step == open_step() + 1 && committed_step() > 0 && Rules().goes_on_without();
  if (next_step > open_step() && !comes_between) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::STEP_AHEAD,
                 absl::StrCat("next_step is ", next_step, ", but step ", open_step(),
                              " is open; is this the right coordinator, and has it its own state directory?"));
  }
  if (request.catch_up()) return absl::OkStatus();
  // Whoever was there when the job was at an earlier step may come back and ask for the answers it has not heard.
  const bool returning = slot.member.incarnation() == request.incarnation();
  const uint64_t earliest = returning ? slot.member.joined_after() + 1 : open_step();
  if (next_step < earliest) {
    return Error(
        absl::StatusCode::kFailedPrecondition, Reason::STEP_BEHIND,
        absl::StrCat("next_step is ", next_step, ", but step ", committed_step(), " is committed; resume at step ",
                     open_step(), ", ask to rewind or to catch up, or use another job name"));
  }
  return absl::OkStatus();
}

// When the last slot is taken, every layer must have someone who counts it.
absl::Status Job::CheckCoverage(int contributor, const std::vector<int>& owned) const {
  std::vector<bool> covered(plan_.layers.size());
  for (const int row : owned) covered[row] = true;
  for (const Slot& slot : slots_) {
    if (slot.member.contributor() == contributor) continue;
    if (!slot.joined) return absl::OkStatus();
    for (const int row : slot.owned) covered[row] = true;
  }
  const auto gap = std::find(covered.begin(), covered.end(), false);
  if (gap == covered.end()) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::UNCOVERED_LAYER,
               absl::StrCat("all ", slots_.size(), " contributors are here, and none owns layer \"",
                            plan_.layers[gap - covered.begin()].name, "\""));
}

// When the last slot is taken, together they stand for the whole world.
absl::Status Job::CheckWorld(const v1::JoinRequest& request) const {
  const int world_size = plan_.effective.world_size();
  if (world_size == 0) return absl::OkStatus();
  const std::vector<int> own = RanksOf(request);
  std::set<int> ranks(own.begin(), own.end());
  if (*ranks.rbegin() >= world_size) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                 absl::StrCat("ranks: ", *ranks.rbegin(), " must lie in 0 .. ", world_size - 1,
                              ", for job.world_size is ", world_size));
  }
  for (const Slot& slot : slots_) {
    if (slot.member.contributor() == request.contributor()) continue;
    if (!slot.joined) return absl::OkStatus();
    ranks.insert(slot.member.ranks().begin(), slot.member.ranks().end());
  }
  int missing = 0;
  for (const int rank : ranks) missing += rank == missing;
  if (missing == world_size) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::INVALID_FIELD,
               absl::StrCat("all ", slots_.size(), " contributors are here, and none stands for rank ", missing, " of ",
                            world_size, " (job.world_size): its tokens would not be counted"));
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
    Replace(request.incarnation(), &member);
    member.set_joined_after(committed_step());
  }
  const std::vector<int> ranks = RanksOf(request);
  *member.mutable_ranks() = {ranks.begin(), ranks.end()};
  member.set_left(false);
  slot->joined = true;
  slot->failed = slot->late = false;
  slot->first_step = request.next_step();
  slot->heard = last_used_ = now_;
  slot->owned = std::move(owned);
  slot->worker = std::make_shared<const v1::WorkerInfo>(request.worker());
  slot->figures.reset();
  wishes_.Remove(request.contributor());
  effects->writes.push_back(MemberWrite(*slot));
}

absl::StatusOr<v1::JoinResponse> Job::Join(absl::Time now, const job::JobPlan& plan, const v1::JoinRequest& request,
                                           Effects* effects, const History& history) {
  SetNow(now);
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
  if (slot.failed && slot.member.incarnation() == request.incarnation()) return failure_;
  if (AsksToGoBack(request)) EVENKEEL_RETURN_IF_ERROR(Rewind(request, history, effects));
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
  EVENKEEL_RETURN_IF_ERROR(CheckWorld(request));
  TakeSlot(request, *std::move(owned), &slot, effects);
  NoteAllJoined(effects);
  ForgetFailure();
  const WaitingRules rules = Rules();
  if (rules.goes_on_without()) excused_ = CountExcused(rules, States(rules));

  v1::JoinResponse response;
  response.set_epoch(epoch_);
  response.set_open_step(open_step());
  *response.mutable_effective() = InForce();
  *response.mutable_version() = *reply_;
  if (previous_ != nullptr) *response.mutable_previous() = *previous_;
  return response;
}

absl::Status Job::Leave(absl::Time now, const v1::LeaveRequest& request, Effects* effects) {
  SetNow(now);
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
  slot.worker = nullptr;
  slot.figures.reset();
  slot.member.set_left(true);
  slot.joined = slot.failed = slot.late = false;
  effects->writes.push_back(MemberWrite(slot));
  ForgetFailure();
  Review(effects);
  return absl::OkStatus();
}

// Takes the slot's push of the open step back.
void Job::Withdraw(Slot* slot) {
  slot->calls.clear();
  if (!slot->pushed) return;
  slot->contribution.SubtractFrom(plan_.layers, slot->owned, &sums_);
  slot->contribution = Contribution();
  slot->pushed = false;
  if (--pushed_ == 0) first_push_ = absl::InfiniteFuture();
}

Write Job::MemberWrite(const Slot& slot) const {
  return {name(), /*state=*/nullptr, epoch_, /*versions=*/{}, {slot.member}};
}

}  // namespace evenkeel::core
