#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/job.pb.h"

// Who has come to the open step, who is waited for, and for how long: pure functions of what is known and of the time.
namespace evenkeel::core {

// What is known of one contributor. Times are those of the events; InfinitePast: never, in this epoch.
struct Attendance {
  bool held = false;        // an incarnation has the slot
  bool left = false;        // it was given back
  bool joined = false;      // that incarnation has joined in this epoch
  bool failed = false;      // and was told to end
  bool pushed = false;      // the open step
  bool late = false;        // it missed the deadline of an earlier step, and has not pushed since
  uint64_t first_step = 0;  // that waits for it
  absl::Time heard = absl::InfinitePast();
};

// JobSpec.missing_policy and JobSpec.membership as the open step has them; what is 0 there is infinite here.
struct WaitingRules {
  v1::JobSpec::MissingPolicy::Kind policy = v1::JobSpec::MissingPolicy::WAIT;
  absl::Duration heartbeat_timeout = absl::InfiniteDuration();
  absl::Duration straggler_deadline = absl::InfiniteDuration();
  absl::Duration step_deadline = absl::InfiniteDuration();
  int min_contributors = 1;

  static WaitingRules Of(v1::JobSpec::MissingPolicy::Kind policy, const v1::Membership& membership);
  bool goes_on_without() const { return policy == v1::JobSpec::MissingPolicy::COMMIT_WITHOUT; }
};

// The open step, and when its waiting began.
struct OpenStep {
  uint64_t step = 1;
  absl::Time first_push = absl::InfiniteFuture();  // that: nobody has pushed
  absl::Time grace_until = absl::InfinitePast();   // nobody is lost, and no deadline passes, before

  bool IsOverdue(absl::Time now, absl::Duration deadline) const;
};

using StateKind = v1::ContributorState::Kind;

// What a contributor is to the open step at that time.
StateKind StateOf(const Attendance& contributor, const WaitingRules& rules, const OpenStep& open, absl::Time now);

// What is to be done about a step.
struct WaitingVerdict {
  enum class Action { kWait, kCommit, kFail };
  Action action = Action::kWait;
  // One phrase, for tests and people.
  const char* reason = "";
  // Those whom the action leaves behind, ascending: the contributors without which the step commits, or whose absence
  // fails the job.
  std::vector<int> missing;
};

// The states are those of all contributors, by contributor.
//
//   WAIT            commits when all have pushed
//   FAIL            moreover fails when one is LOST, or the step is beyond its deadline
//   COMMIT_WITHOUT  commits when at least min_contributors have pushed, and none is AWAITED, AWAY or FREE, or the step
//                   is beyond its deadline
WaitingVerdict Judge(absl::Span<const StateKind> states, const WaitingRules& rules, const OpenStep& open,
                     absl::Time now);

// Contributors to name because the step waits for them beyond the straggler deadline, ascending, at most three; none
// where they are no outliers: as many as have pushed, or more, unless it is one of two.
std::vector<int> Stragglers(absl::Span<const StateKind> states, const WaitingRules& rules, const OpenStep& open,
                            absl::Time now);

// For people: "contributor 3", "contributors 3, 5, 8 and 12 more".
std::string NamesOf(absl::Span<const int> contributors);

}  // namespace evenkeel::core
