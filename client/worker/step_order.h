#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "evenkeel/options.h"

namespace evenkeel::client {

// The order in which a worker's calls may come:
//
//   between steps --BeginStep(next)--> in a step (counting) --Commit(next)--> between steps, next + 1; after a dry run
//                                                                             next comes again
//   either --Leave--> left, for good
//   in a step --BeginCapture--> capturing --EndCapture--> in the same step
//
// A step is of the kind of counting that it began with. Evaluation is a pause of any of it: it may come at any time,
// and nothing but it comes before it has ended, so that nobody trains on without counting.
//
// Checks answer FAILED_PRECONDITION with the steps concerned. Not thread-safe.
class StepOrder {
 public:
  explicit StepOrder(uint64_t first_step) : step_(first_step) {}

  absl::Status CheckBegin(uint64_t step) const;
  // `call` is what asks to route or to count.
  absl::Status CheckCounting(absl::string_view call) const;
  absl::Status CheckCommit(uint64_t step) const;
  absl::Status CheckSetCounting(Counting counting) const;
  absl::Status CheckBeginCapture() const;
  absl::Status CheckEndCapture() const;
  // That no step is under way.
  absl::Status CheckSave() const;

  void Begin() {
    place_ = Place::kInStep;
    kind_ = counting_;
  }
  void Commit() {
    place_ = Place::kBetweenSteps;
    if (!is_dry_run()) ++step_;
  }
  void Leave() { place_ = Place::kLeft; }
  void SetCounting(Counting counting) { counting_ = counting; }
  void SetCapturing(bool capturing) { capturing_ = capturing; }

  // The step that was committed last, or the one before the first.
  uint64_t committed() const { return step_ - 1; }
  bool left() const { return place_ == Place::kLeft; }
  Counting counting() const { return counting_; }
  // Of the step that is under way.
  bool is_dry_run() const { return kind_ == Counting::kDryRun; }
  bool is_replay() const { return kind_ == Counting::kReplay; }

 private:
  enum class Place { kBetweenSteps, kInStep, kLeft };

  bool evaluates() const { return counting_ == Counting::kEvaluate; }
  absl::Status Refuse(absl::string_view call) const;

  Place place_ = Place::kBetweenSteps;
  // The step that is under way, or that comes next.
  uint64_t step_;
  Counting counting_ = Counting::kTrain;
  // What the step under way began with.
  Counting kind_ = Counting::kTrain;
  bool capturing_ = false;
};

}  // namespace evenkeel::client
