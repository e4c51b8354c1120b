#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/balance/cuda/flat_update.h"
#include "kernels/balance/step_info.h"

// What a FlatUpdate is told of its step, made where the update runs: a host that sums the skips there too never waits
// for them. Every address here is in the memory of who runs it, aligned to its type, and the caller's.
namespace evenkeel::balance {

// How far a job is.
struct FlatPlace {
  uint64_t step;      // the last that was committed, 0 before the first
  uint64_t position;  // of these, steps that all ranks took
};

// The rate at position p >= 1 is rates[min(p, size) - 1]: RateTableOf() a config (rate_table.h).
struct RateTable {
  const float* rates;  // [size]
  uint64_t size;       // >= 1
};

// Nothing that changes from step to step but by what the addresses hold, as in FlatUpdate.
struct NextStep {
  const uint64_t* skips;  // [1], ranks that did not take their optimizer step, summed; 0 is a step that all took
  const uint64_t*
      replays;         // [1], ranks whose tokens were routed elsewhere, summed; only at 0 does the step move a bias
  bool apply_skipped;  // counts of a step that some rank skipped move the bias all the same
  Mode mode;           // of the job

  int num_layers;           // >= 0
  const RateTable* tables;  // [num_layers], for layers in their order; several may share their rates

  FlatPlace* place;  // [1], moved on by one step, and by one position where all ranks took it
  FlatStep* step;    // [1], written: FlatUpdate::step, whose position is as if all ranks had taken it
  float* rates;      // [num_layers], written: FlatUpdate::rates, of that position
};

// OK if EnqueueNextStep() may run it; else INVALID_ARGUMENT naming the field: num_layers is negative, or an address is
// null while there are layers. Does not look at what is there.
absl::Status ValidateNextStep(const NextStep& next);

}  // namespace evenkeel::balance
