#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "evenkeel/v1/record.pb.h"
#include "job/config_timeline.h"
#include "job/job_plan.h"
#include "job/job_state.h"
#include "job/move.h"

namespace evenkeel::recorder {

// Makes the states of a job again from its record, by the code of the coordinator (job/), and holds them against what
// the record says came out. Not thread-safe.
class Replayer {
 public:
  // Where run and record first differ.
  struct Difference {
    uint64_t step = 0;
    std::string layer;
    // Of the layer's bias; the same where something else of its state differs.
    uint64_t recorded_hash = 0;
    uint64_t replayed_hash = 0;
    v1::UpdateReason::Kind recorded_reason = v1::UpdateReason::NEVER;
    v1::UpdateReason::Kind replayed_reason = v1::UpdateReason::NEVER;
  };
  // What the record tells beside the steps.
  struct Note {
    enum class Kind {
      kGap,      // steps are missing: those from `step` to `last`
      kStarted,  // the coordinator was started after `step`
      kBack,     // the job was given the state after `step`, by a rewind or PutState
      kConfig,   // the config changed, or a halt ended, after `step`
    };
    Kind kind;
    uint64_t step = 0;
    uint64_t last = 0;
  };

  // The next event of the record. After a difference, what follows is not judged.
  //   DATA_LOSS  the event does not fit itself, or what was before it
  absl::Status Take(const v1::RecordedEvent& event);

  const std::optional<Difference>& difference() const { return difference_; }
  const std::vector<Note>& notes() const { return notes_; }
  // How many were replayed.
  uint64_t steps() const { return steps_; }

  // Null before the first state.
  const job::JobState* state() const { return state_.has_value() ? &*state_ : nullptr; }
  const job::JobPlan& plan() const { return plan_; }
  // What the job was made with, and the changes since. After the first state only.
  const job::ConfigTimeline& timeline() const { return *timeline_; }

 private:
  absl::Status TakeState(const v1::RecordedState& event);
  absl::Status TakeCommit(const v1::RecordedCommit& event);
  absl::Status TakeConfig(const v1::RecordedConfig& event);
  void NoteHead(v1::RecordedState::Cause cause, uint64_t step);
  void CompareStates(const job::JobState& recorded);
  void CompareCommit(const v1::RecordedCommit& event);
  absl::Status CheckCommit(const v1::RecordedCommit& event) const;
  absl::Status CheckRoom(const job::StepSums& sums) const;

  // As in force for the last commit.
  job::JobPlan plan_;
  std::optional<job::ConfigTimeline> timeline_;
  std::optional<job::JobState> state_;
  job::Move move_;
  uint64_t steps_ = 0;
  std::optional<Difference> difference_;
  std::vector<Note> notes_;
};

}  // namespace evenkeel::recorder
