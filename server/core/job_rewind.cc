#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "job/same_shape.h"
#include "job/zero_bias.h"
#include "server/core/job.h"
#include "server/core/job_events.h"

// How a job goes on from another state than that of its last step.
namespace evenkeel::core {
namespace {

// Whether `history` has the states of these steps.
bool HasAll(const std::vector<uint64_t>& steps, const History& history) {
  return std::equal(steps.begin(), steps.end(), history.begin(), history.end(),
                    [](uint64_t step, const v1::JobState& state) { return state.version().step() == step; });
}

// Of a state that a job with more contributors had: this one has no such slots.
void ForgetBeyond(size_t contributors, job::JobState* state) {
  const auto is_beyond = [contributors](int participant) { return participant >= static_cast<int>(contributors); };
  std::vector<int>& participants = state->participants;
  participants.erase(std::remove_if(participants.begin(), participants.end(), is_beyond), participants.end());
}

absl::Span<const v1::JobState> AllButLast(const History& history) {
  return absl::MakeSpan(history).subspan(0, history.size() - 1);
}

}  // namespace

absl::Status Job::StateUnknown(uint64_t step) const {
  return Error(absl::StatusCode::kFailedPrecondition, Reason::STATE_UNKNOWN,
               absl::StrCat("the state after step ", step, " is not remembered here: those of the newest ",
                            kKeptVersions, " steps up to ", committed_step(),
                            " are, as far as the job has them; bring the snapshot of the checkpoint"));
}

absl::StatusOr<std::vector<uint64_t>> Job::SnapshotSteps(std::optional<uint64_t> step) const {
  const uint64_t wanted = step.value_or(committed_step());
  if (wanted > committed_step()) {
    return Error(absl::StatusCode::kFailedPrecondition, Reason::FUTURE_STEP,
                 absl::StrCat("step ", wanted, " is not committed; step ", committed_step(), " is the newest"));
  }
  if (Kept(wanted) == nullptr) return StateUnknown(wanted);
  if (plan_.effective.lag() == 0) return std::vector<uint64_t>{wanted};
  if (Kept(wanted - 1) != nullptr) return std::vector<uint64_t>{wanted - 1, wanted};
  // The oldest there is, from which the job began, or before which something has been forgotten.
  if (wanted == 0 || versions_.size() < kKeptVersions) return std::vector<uint64_t>{wanted};
  return StateUnknown(wanted);
}

absl::StatusOr<v1::Snapshot> Job::Snapshot(std::optional<uint64_t> step, const History& states) const {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, SnapshotSteps(step));
  if (!HasAll(steps, states)) return StateUnknown(steps.back());
  return job::MakeSnapshot(states.back(), AllButLast(states));
}

// Who has left is not waited for; nor is, where a job goes on without who is missing, one that is not heard of and has
// not asked by the step's deadline, as long as enough have.
std::vector<int> Job::ExpectedToAsk(absl::Time now, int asking) const {
  const WaitingRules rules = Rules();
  int asked = 0;
  std::vector<int> here;
  std::vector<int> expected;
  for (int i = 0; i < static_cast<int>(slots_.size()); ++i) {
    const bool asks = i == asking || wishes_.Find(i) != nullptr;
    const bool is_alive = slots_[i].joined && now < slots_[i].heard + rules.heartbeat_timeout;
    asked += asks;
    if (asks || is_alive) here.push_back(i);
    if (asks || !slots_[i].member.left()) expected.push_back(i);
  }
  const bool overdue = now >= wishes_.since() + rules.step_deadline;
  return rules.goes_on_without() && asked >= rules.min_contributors && overdue ? here : expected;
}

std::vector<uint64_t> Job::StatesFor(absl::Time now, const v1::JoinRequest& request) const {
  const bool known = request.contributor() >= 0 && request.contributor() < static_cast<int>(slots_.size());
  const bool goes_back = known && AsksToGoBack(request) && request.next_step() <= committed_step();
  if (!goes_back) return {};
  const std::vector<int> expected = ExpectedToAsk(std::max(now, now_), request.contributor());
  if (!wishes_.Agree(request.contributor(), request.next_step(), expected)) return {};
  const absl::StatusOr<std::vector<uint64_t>> steps = SnapshotSteps(request.next_step() - 1);
  return steps.ok() ? *steps : std::vector<uint64_t>();
}

absl::Status Job::CheckShape(const job::SnapshotStates& states) const {
  const v1::JobState& state = states.state;
  const absl::StatusOr<job::JobPlan> theirs = job::PlanStoredJob(state.spec(), state.fingerprint());
  const job::JobPlan ours = PlanAt(plan_, timeline_, state.version().step());
  const absl::Status status = theirs.ok() ? job::CheckSameShape(ours, *theirs) : theirs.status();
  if (status.ok()) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
               absl::StrCat("snapshot, of job \"", state.spec().name(), "\": ", status.message()));
}

// What is brought may not be of another life of the model than what is here.
absl::Status Job::CheckSameBias(const BroughtStates& brought, const job::JobState& ours) const {
  const absl::StatusOr<job::JobState> theirs = FromProto(plan_, brought.states.state);
  if (!theirs.ok()) return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD, theirs.status().message());
  if (job::StateHash(*theirs) == job::StateHash(ours)) return absl::OkStatus();
  return Error(absl::StatusCode::kFailedPrecondition, Reason::PAYLOAD_DIFFERS,
               absl::StrFormat("snapshot: its bias after step %d has the hash %016x, and the job's %016x; they are not "
                               "of one run; go on with another job name, or put the state into the job by PutState",
                               ours.version.step(), job::StateHash(*theirs), job::StateHash(ours)));
}

// A process asks before it joins. What it asked for and arrives late, when it trains already, is no new wish.
bool Job::AsksToGoBack(const v1::JoinRequest& request) const {
  const Slot& slot = slots_[request.contributor()];
  const bool has_joined = slot.member.incarnation() == request.incarnation();
  return request.rewind() && (!has_joined || request.next_step() == open_step());
}

// Whoever asks for a step that is not open waits until all ask for it.
absl::Status Job::Rewind(const v1::JoinRequest& request, const History& history, Effects* effects) {
  std::shared_ptr<const BroughtStates> brought;
  if (request.has_snapshot()) {
    EVENKEEL_ASSIGN_OR_RETURN(brought, OpenBrought(request.snapshot()));
    EVENKEEL_RETURN_IF_ERROR(CheckShape(brought->states));
  }
  if (request.next_step() == open_step()) {
    return brought != nullptr ? CheckSameBias(*brought, state_) : absl::OkStatus();
  }
  EVENKEEL_RETURN_IF_ERROR(wishes_.RefusalOf(request.contributor(), request.incarnation()));
  wishes_.Put(now_, request.contributor(), {request.incarnation(), request.next_step(), std::move(brought), {}});
  const std::vector<int> expected = ExpectedToAsk(now_, request.contributor());
  if (!wishes_.Agree(request.contributor(), request.next_step(), expected)) {
    return Error(absl::StatusCode::kUnavailable, Reason::REWIND_PENDING,
                 absl::StrCat(wishes_.Describe(static_cast<int>(expected.size())), "; step ", open_step(),
                              " is open, and the job goes to another when all ask for the same"));
  }
  const absl::Status status = GoBack(request.next_step() - 1, history, effects);
  if (!status.ok()) wishes_.RefuseAll(status);
  return status;
}

absl::Status Job::GoBack(uint64_t step, const History& history, Effects* effects) {
  const absl::StatusOr<std::shared_ptr<const BroughtStates>> brought = wishes_.Brought();
  if (!brought.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::PAYLOAD_DIFFERS, brought.status().message());
  }
  const absl::StatusOr<std::vector<uint64_t>> steps = SnapshotSteps(step);
  if (!steps.ok() || !HasAll(*steps, history)) {
    if (*brought == nullptr) return StateUnknown(step);
    const job::SnapshotStates& states = (*brought)->states;
    return GoOnFrom(states.state, states.earlier, /*begins_anew=*/true, "from the snapshot that was brought", effects);
  }
  if (*brought != nullptr) {
    EVENKEEL_ASSIGN_OR_RETURN(const job::JobState remembered, FromProto(plan_, history.back()));
    EVENKEEL_RETURN_IF_ERROR(CheckSameBias(**brought, remembered));
  }
  return GoOnFrom(history.back(), AllButLast(history), /*begins_anew=*/false, "from its history", effects);
}

// The changes of a state's config are its job's if that was made with what this one was made with, or ended with it:
// who asks for another config has it from the start.
absl::Status Job::TakeConfig(const v1::JobState& state) {
  if (state.changes().empty()) return absl::OkStatus();
  absl::StatusOr<job::ConfigTimeline> timeline = job::ConfigTimeline::FromProto(plan_, state.changes());
  if (!timeline.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD, timeline.status().message());
  }
  const absl::StatusOr<job::JobPlan> first = job::WithChange(plan_, timeline->First());
  const job::JobPlan in_force = PlanAt(plan_, *timeline, state.version().step() + 1);
  const bool continues = (first.ok() && job::FirstDifference(first->effective, plan_.effective).empty()) ||
                         job::FirstDifference(in_force.effective, plan_.effective).empty();
  if (continues) timeline_ = *std::move(timeline);
  return absl::OkStatus();
}

absl::Status Job::PutState(absl::Time now, const job::SnapshotStates& states, Effects* effects) {
  SetNow(now);
  EVENKEEL_RETURN_IF_ERROR(CheckShape(states));
  return GoOnFrom(states.state, states.earlier, /*begins_anew=*/true, "from the state that was put in", effects);
}

// With `begins_anew` the states are not of the job's own steps: they get versions of their own, and are balanced as the
// job is.
absl::Status Job::GoOnFrom(const v1::JobState& state, absl::Span<const v1::JobState> earlier, bool begins_anew,
                           absl::string_view origin, Effects* effects) {
  const uint64_t left = committed_step();
  const uint64_t step = state.version().step();
  const bool has_previous =
      plan_.effective.lag() == 1 && !earlier.empty() && earlier.back().version().step() + 1 == step;
  const auto plan_of = [&](const v1::JobState& message) -> absl::StatusOr<job::JobPlan> {
    if (begins_anew) return PlanAt(plan_, timeline_, step);
    return job::WithChange(plan_, job::ChangeOf(message.spec()));
  };
  EVENKEEL_ASSIGN_OR_RETURN(job::JobPlan plan, plan_of(state));
  EVENKEEL_ASSIGN_OR_RETURN(job::JobState newest, FromProto(plan, state));
  job::JobPlan previous_plan = plan;
  job::JobState previous;
  if (has_previous) {
    EVENKEEL_ASSIGN_OR_RETURN(previous_plan, plan_of(earlier.back()));
    EVENKEEL_ASSIGN_OR_RETURN(previous, FromProto(previous_plan, earlier.back()));
  }

  epoch_ = std::max(epoch_, state.version().epoch()) + 1;
  // Nobody routes with anything older any more.
  newest.stale_versions.clear();
  previous.stale_versions.clear();
  ForgetBeyond(slots_.size(), &newest);
  ForgetBeyond(slots_.size(), &previous);
  Write write;
  write.begins_anew = begins_anew;
  while (!versions_.empty() && (begins_anew || versions_.back().step > step)) versions_.pop_back();
  if (begins_anew) {
    newest.version.set_epoch(epoch_);
    previous.version.set_epoch(epoch_);
    if (has_previous) versions_.push_back(RecordOf(previous));
    if (has_previous) write.earlier.push_back(ToProto(previous_plan, previous));
    versions_.push_back(RecordOf(newest));
    write.versions = versions_;
  }
  previous_ = has_previous ? job::CommittedVersionOf(previous_plan, previous) : nullptr;
  plan_ = std::move(plan);
  state_ = std::move(newest);
  // What the job has made itself is as it was.
  if (begins_anew) Report(job::FindZeroBias(plan_, state_), effects);
  move_ = job::InitialMove(plan_, state_);
  reply_ = job::CommittedVersionOf(plan_, state_);
  StartOver(effects);

  write.job = name();
  write.epoch = epoch_;
  write.state = std::make_shared<const v1::JobState>(State());
  for (const Slot& slot : slots_) write.members.push_back(slot.member);
  effects->writes.push_back(std::move(write));
  Notice(
      LogEvent::Level::kWarning, "rewind",
      absl::StrCat("it goes from step ", left, " to the state after step ", step, ", ", origin, ", in epoch ", epoch_),
      effects);
  return absl::OkStatus();
}

// Nobody has joined, and nothing of the open step is here.
void Job::StartOver(Effects* effects) {
  AnswerAll(Error(absl::StatusCode::kFailedPrecondition, Reason::STALE_EPOCH,
                  absl::StrCat("the job goes on from the state after step ", committed_step(), "; join again")),
            effects);
  for (Slot& slot : slots_) {
    Slot empty;
    empty.member = std::move(slot.member);
    empty.member.set_joined_after(committed_step());
    const RewindWishes::Wish* wish = wishes_.Find(empty.member.contributor());
    if (wish != nullptr && empty.member.incarnation() != 0 && empty.member.incarnation() != wish->incarnation) {
      Replace(wish->incarnation, &empty.member);
      empty.member.clear_ranks();
    }
    slot = std::move(empty);
  }
  wishes_.Clear();
  sums_ = job::StepSums(plan_.layers);
  pushed_ = 0;
  may_join_ = false;
  first_push_ = absl::InfiniteFuture();
  failure_ = absl::OkStatus();
  stragglers_.clear();
  BeginGrace();
}

}  // namespace evenkeel::core
