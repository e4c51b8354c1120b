// Who is here, and what a job does about who is not: the part of job.h that time drives.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "server/core/job.h"
#include "server/core/job_events.h"

namespace evenkeel::core {
namespace {

using State = v1::ContributorState;

// Whether anybody is here to be told something.
bool IsHere(StateKind state) {
  return state == State::PUSHED || state == State::AWAITED || state == State::LATE || state == State::COMING;
}

// States in which a step that goes on without missing contributors does not wait for one.
bool IsExcused(StateKind state) {
  return state == State::LATE || state == State::LOST || state == State::LEFT || state == State::COMING ||
         state == State::FAILED;
}

// A word that people are shown.
absl::Status CheckFigures(const v1::WorkerFigures& figures) {
  constexpr size_t kLongestMode = 32;
  if (figures.counting_mode().size() <= kLongestMode) return absl::OkStatus();
  return ServiceError(absl::StatusCode::kInvalidArgument, Reason::INVALID_FIELD,
                      absl::StrCat("figures.counting_mode has ", figures.counting_mode().size(),
                                   " bytes; it has at most ", kLongestMode));
}

}  // namespace

void Job::NoteSuccessor(const absl::Status& status, int contributor, uint64_t incarnation, Effects* effects) {
  const bool is_ours = contributor >= 0 && contributor < static_cast<int>(slots_.size()) &&
                       slots_[contributor].member.incarnation() == incarnation;
  if (has_successor_ || !is_ours || ReasonOf(status) != Reason::EPOCH_AHEAD) return;
  has_successor_ = true;
  Notice(LogEvent::Level::kError, "successor_seen",
         absl::StrCat("contributor ", contributor, " is with a coordinator of a later epoch than ", epoch_,
                      ": nothing is committed here without anybody any more; stop this one"),
         effects);
}

WaitingRules Job::Rules() const {
  const v1::ConfigChange& in_force = timeline_.At(open_step());
  WaitingRules rules = WaitingRules::Of(in_force.missing_policy(), in_force.membership());
  if (has_successor_) rules.policy = v1::JobSpec::MissingPolicy::WAIT;
  return rules;
}

std::vector<StateKind> Job::States(const WaitingRules& rules) const {
  const OpenStep open = Open();
  std::vector<StateKind> states;
  states.reserve(slots_.size());
  for (const Slot& slot : slots_) {
    Attendance attendance;
    attendance.held = slot.member.incarnation() != 0;
    attendance.left = slot.member.left();
    attendance.joined = slot.joined;
    attendance.failed = slot.failed;
    attendance.pushed = slot.pushed;
    attendance.late = slot.late;
    attendance.first_step = slot.first_step;
    attendance.heard = slot.heard;
    states.push_back(StateOf(attendance, rules, open, now_));
  }
  return states;
}

void Job::Notice(LogEvent::Level level, const char* event, absl::string_view sentence, Effects* effects) const {
  effects->notices.push_back({level, event, absl::StrCat("job \"", name(), "\": ", sentence), name()});
}

void Job::BeginGrace() {
  grace_until_ = now_ + absl::Milliseconds(timeline_.At(open_step()).membership().recovery_grace_ms());
}

absl::StatusOr<v1::HeartbeatResponse> Job::Heartbeat(absl::Time now, const v1::HeartbeatRequest& request,
                                                     Effects* effects) {
  SetNow(now);
  const absl::Status status = CheckSender(request.contributor(), request.incarnation(), request.epoch());
  if (!status.ok()) {
    NoteSuccessor(status, request.contributor(), request.incarnation(), effects);
    return status;
  }
  Slot& slot = slots_[request.contributor()];
  slot.heard = now_;
  EVENKEEL_RETURN_IF_ERROR(CheckFigures(request.figures()));
  if (request.has_figures()) slot.figures = request.figures();
  v1::HeartbeatResponse response;
  response.set_open_step(open_step());
  return response;
}

void Job::Tick(absl::Time now, Effects* effects) {
  SetNow(now);
  Review(effects);
  const auto waits = [](StateKind state) { return state == State::PUSHED || state == State::AWAITED; };
  std::vector<StateKind> states = States(Rules());
  NameLost(states, effects);
  std::replace_if(states.begin(), states.end(), waits, State::AWAITED);
  if (states == shown_states_ && stragglers_ == shown_stragglers_) return;
  shown_states_ = std::move(states);
  shown_stragglers_ = stragglers_;
  effects->attendance.push_back(name());
}

void Job::NameLost(absl::Span<const StateKind> states, Effects* effects) {
  std::vector<int> lost;
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i] == State::LOST) lost.push_back(static_cast<int>(i));
  }
  if (lost == told_lost_) return;
  told_lost_ = std::move(lost);
  if (told_lost_.empty()) {
    Notice(LogEvent::Level::kInfo, "none_lost", "no contributor is lost any more", effects);
  } else {
    Notice(LogEvent::Level::kWarning, "contributor_lost",
           absl::StrCat("not heard of for longer than heartbeat_timeout_ms: ", NamesOf(told_lost_)), effects);
  }
}

void Job::NoteAllJoined(Effects* effects) {
  const bool all = std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.joined; });
  if (all && !told_all_joined_) {
    Notice(LogEvent::Level::kInfo, "all_joined",
           absl::StrCat("all of ", slots_.size(), " have joined; step ", open_step(), " is open"), effects);
  }
  told_all_joined_ = all;
}

int Job::CountExcused(const WaitingRules& rules, absl::Span<const StateKind> states) const {
  if (!rules.goes_on_without()) return 0;
  return static_cast<int>(std::count_if(states.begin(), states.end(), IsExcused));
}

void Job::Review(Effects* effects) {
  const WaitingRules rules = Rules();
  const std::vector<StateKind> states = States(rules);
  excused_ = CountExcused(rules, states);
  const WaitingVerdict verdict = Judge(states, rules, Open(), now_);
  switch (verdict.action) {
    case WaitingVerdict::Action::kWait:
      return NameStragglers(rules, states, effects);
    case WaitingVerdict::Action::kCommit:
      return CommitWithout(verdict, states, effects);
    case WaitingVerdict::Action::kFail:
      if (std::any_of(states.begin(), states.end(), IsHere)) Fail(verdict, effects);
  }
}

void Job::NameStragglers(const WaitingRules& rules, absl::Span<const StateKind> states, Effects* effects) {
  stragglers_ = Stragglers(states, rules, Open(), now_);
  if (stragglers_.empty() || stragglers_ == told_stragglers_) return;
  told_stragglers_ = stragglers_;
  Notice(LogEvent::Level::kWarning, "stragglers",
         absl::StrCat("step ", open_step(), " has waited ", absl::FormatDuration(now_ - first_push_), " for ",
                      NamesOf(stragglers_), "; ", pushed_, " of ", slots_.size(), " have pushed"),
         effects);
}

void Job::CommitWithout(const WaitingVerdict& verdict, absl::Span<const StateKind> states, Effects* effects) {
  for (const int contributor : verdict.missing) slots_[contributor].late = states[contributor] == State::LATE;
  if (verdict.missing != told_missing_) {
    told_missing_ = verdict.missing;
    if (verdict.missing.empty()) {
      Notice(LogEvent::Level::kInfo, "all_take_part", absl::StrCat("all take part in step ", open_step(), " again"),
             effects);
    } else {
      Notice(
          LogEvent::Level::kWarning, "committed_without",
          absl::StrCat("step ", open_step(), " is committed without ", NamesOf(verdict.missing), ": ", verdict.reason),
          effects);
    }
  }
  Commit(effects);
  effects->commits.back().missing = verdict.missing;
}

// Whoever took part is told, those too that are missing, should they come back.
void Job::Fail(const WaitingVerdict& verdict, Effects* effects) {
  failure_ = Error(absl::StatusCode::kAborted, Reason::JOB_FAILED,
                   absl::StrCat("step ", open_step(), " has failed without ", NamesOf(verdict.missing), " (",
                                verdict.reason, "), as its missing_policy FAIL asks; start the training again"));
  AnswerAll(failure_, effects);
  for (Slot& slot : slots_) {
    Withdraw(&slot);
    slot.failed = slot.failed || slot.member.incarnation() != 0;
    slot.joined = false;
  }
  stragglers_.clear();
  effects->notices.push_back(ErrorEvent("job_failed", std::string(failure_.message()), name()));
}

void Job::ForgetFailure() {
  if (std::none_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.failed; })) {
    failure_ = absl::OkStatus();
  }
}

bool Job::Expire(absl::Duration unused, Effects* effects) const {
  if (std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.calls.empty(); })) return false;
  Write write;
  write.job = name();
  write.epoch = epoch_;
  write.expires = true;
  effects->writes.push_back(std::move(write));
  Notice(LogEvent::Level::kInfo, "job_expired",
         absl::StrCat("not used for ", absl::FormatDuration(unused), ", it expires; its state after step ",
                      committed_step(), " is kept"),
         effects);
  return true;
}

}  // namespace evenkeel::core
