#pragma once

#include <cstdint>

namespace evenkeel::balance {

// Of the job.
enum class Mode {
  kBalance,
  kFrozen,   // counts are recorded, the bias stays
  kObserve,  // likewise, for models that balance themselves
};

// What all layers of a job have in common in one step.
struct StepInfo {
  uint64_t step;      // optimizer step, from 1
  uint64_t position;  // steps committed with ok = true, this one included: what warm-up and schedules go by
  Mode mode = Mode::kBalance;
};

}  // namespace evenkeel::balance
