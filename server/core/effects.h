#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/log_event.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "server/core/record.h"

namespace evenkeel::core {

// Names a call that waits for its answer; chosen by the caller, unique while it waits.
using CallId = uint64_t;

// What became of a push, for the metrics page.
enum class PushResult {
  kAccepted,   // counted
  kDuplicate,  // counted before; waits for, or gets, the same answer
  kLate,       // of a committed step; answered with the newest version
  kRefused,    // answered with an error
};

struct Answer {
  CallId call = 0;
  absl::StatusOr<std::shared_ptr<const v1::CommittedVersion>> reply;
};

// A step was committed.
struct CommitEvent {
  std::string job;
  uint64_t step = 0;
  // From the first push of the step to the last.
  absl::Duration barrier_wait;
  // Valid tokens of the step, the largest over the layers.
  uint64_t tokens = 0;
  // As in v1::CommittedVersion.
  uint64_t staleness = 0;
  // Contributors that had lost their counts, and those that had not pushed, ascending.
  std::vector<int> lost;
  std::vector<int> missing;
};

// Something about a step, or a state, cannot be right.
struct ViolationEvent {
  std::string job;
  uint64_t step = 0;
  v1::Violation violation;
};

// What an event asks its caller to do, in this order: make all writes durable in one go; then, and only then, send the
// answers. When the writes fail, the answers must not be sent and the process must not go on.
struct Effects {
  std::vector<Write> writes;
  std::vector<Answer> answers;
  std::vector<CommitEvent> commits;
  std::vector<LogEvent> notices;
  std::vector<ViolationEvent> violations;
  // Jobs of which somebody is missing now, or is not any more: what is shown of them is to be looked at again.
  std::vector<std::string> attendance;

  bool IsEmpty() const {
    return writes.empty() && answers.empty() && commits.empty() && notices.empty() && violations.empty() &&
           attendance.empty();
  }

  // Adds the effects of a later event.
  void Append(Effects&& later) {
    std::move(later.writes.begin(), later.writes.end(), std::back_inserter(writes));
    std::move(later.answers.begin(), later.answers.end(), std::back_inserter(answers));
    std::move(later.commits.begin(), later.commits.end(), std::back_inserter(commits));
    std::move(later.notices.begin(), later.notices.end(), std::back_inserter(notices));
    std::move(later.violations.begin(), later.violations.end(), std::back_inserter(violations));
    std::move(later.attendance.begin(), later.attendance.end(), std::back_inserter(attendance));
  }
};

}  // namespace evenkeel::core
