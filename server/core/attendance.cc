#include "server/core/attendance.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::core {
namespace {

using State = v1::ContributorState;

constexpr size_t kMaxNamed = 3;

absl::Duration Limit(uint64_t milliseconds) {
  return milliseconds == 0 ? absl::InfiniteDuration() : absl::Milliseconds(milliseconds);
}

std::vector<int> Having(absl::Span<const StateKind> states, std::initializer_list<StateKind> wanted) {
  std::vector<int> having;
  for (size_t i = 0; i < states.size(); ++i) {
    if (std::find(wanted.begin(), wanted.end(), states[i]) != wanted.end()) having.push_back(static_cast<int>(i));
  }
  return having;
}

// All but those that have pushed, or are not to push this step.
std::vector<int> Missing(absl::Span<const StateKind> states) {
  return Having(states,
                {State::AWAITED, State::LATE, State::LOST, State::AWAY, State::FREE, State::LEFT, State::FAILED});
}

}  // namespace

WaitingRules WaitingRules::Of(v1::JobSpec::MissingPolicy::Kind policy, const v1::Membership& membership) {
  WaitingRules rules;
  rules.policy = policy;
  rules.heartbeat_timeout = Limit(membership.heartbeat_timeout_ms());
  rules.straggler_deadline = Limit(membership.straggler_deadline_ms());
  rules.step_deadline = Limit(membership.step_deadline_ms());
  rules.min_contributors = membership.min_contributors();
  return rules;
}

bool OpenStep::IsOverdue(absl::Time now, absl::Duration deadline) const {
  return now >= grace_until && now >= first_push + deadline;
}

StateKind StateOf(const Attendance& contributor, const WaitingRules& rules, const OpenStep& open, absl::Time now) {
  if (contributor.failed) return State::FAILED;
  if (contributor.pushed) return State::PUSHED;
  if (!contributor.held) return contributor.left ? State::LEFT : State::FREE;
  if (!contributor.joined) return now < open.grace_until ? State::AWAY : State::LOST;
  if (now >= open.grace_until && now >= contributor.heard + rules.heartbeat_timeout) return State::LOST;
  if (contributor.first_step > open.step) return State::COMING;
  if (contributor.late || open.IsOverdue(now, rules.step_deadline)) return State::LATE;
  return State::AWAITED;
}

WaitingVerdict Judge(absl::Span<const StateKind> states, const WaitingRules& rules, const OpenStep& open,
                     absl::Time now) {
  using Action = WaitingVerdict::Action;
  const int pushed = static_cast<int>(Having(states, {State::PUSHED}).size());
  std::vector<int> missing = Missing(states);
  const bool enough = pushed >= (rules.goes_on_without() ? std::max(1, rules.min_contributors) : 1);
  if (enough && missing.empty()) return {Action::kCommit, "all have pushed", {}};
  const bool overdue = open.IsOverdue(now, rules.step_deadline);
  switch (rules.policy) {
    case v1::JobSpec::MissingPolicy::FAIL: {
      std::vector<int> lost = Having(states, {State::LOST});
      if (!lost.empty()) return {Action::kFail, "lost", std::move(lost)};
      if (overdue) return {Action::kFail, "beyond the deadline", std::move(missing)};
      return {Action::kWait, "in time", {}};
    }
    case v1::JobSpec::MissingPolicy::COMMIT_WITHOUT: {
      if (!enough) return {Action::kWait, "too few have pushed", {}};
      if (overdue) return {Action::kCommit, "beyond the deadline", std::move(missing)};
      if (!Having(states, {State::AWAITED, State::AWAY, State::FREE}).empty()) return {Action::kWait, "in time", {}};
      return {Action::kCommit, "nobody else is expected", std::move(missing)};
    }
    default:
      return {Action::kWait, "waits for all", {}};
  }
}

std::vector<int> Stragglers(absl::Span<const StateKind> states, const WaitingRules& rules, const OpenStep& open,
                            absl::Time now) {
  if (!open.IsOverdue(now, rules.straggler_deadline)) return {};
  std::vector<int> missing =
      rules.goes_on_without() ? Having(states, {State::AWAITED, State::AWAY, State::FREE}) : Missing(states);
  const size_t pushed = Having(states, {State::PUSHED}).size();
  const bool outliers = missing.size() < pushed || (missing.size() == 1 && pushed == 1);
  if (!outliers) return {};
  missing.resize(std::min(missing.size(), kMaxNamed));
  return missing;
}

std::string NamesOf(absl::Span<const int> contributors) {
  const absl::Span<const int> named = contributors.first(std::min(contributors.size(), kMaxNamed));
  const size_t more = contributors.size() - named.size();
  return absl::StrCat(contributors.size() == 1 ? "contributor " : "contributors ", absl::StrJoin(named, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

}  // namespace evenkeel::core
