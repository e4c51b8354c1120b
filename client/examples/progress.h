#pragma once

#include <cstdint>

#include "evenkeel/worker.h"

namespace text_worker {

// Says on stdout how the run goes, line by line: for a program, JSON objects with an "event"; for a person, one line a
// step.
class Progress {
 public:
  explicit Progress(bool json) : json_(json) {}

  // BeginStep(step) has returned.
  void Begin(uint64_t step) const;
  // Commit(step) has returned.
  void Commit(uint64_t step) const;
  // The version of the step that `report` is about has arrived, `commit_seconds` after its commit.
  void Step(const evenkeel::StepReport& report, double commit_seconds) const;
  // The run is over, after `report`.
  void Done(const evenkeel::StepReport& report) const;

 private:
  const bool json_;
};

}  // namespace text_worker
