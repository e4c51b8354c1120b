#pragma once

#include <vector>

#include "client/benchmark/step_case.h"

namespace evenkeel::step_benchmark {

// Microseconds of rank 0's training thread, a sample for each step.
struct HostSamples {
  std::vector<double> commit;
  std::vector<double> begin_step;  // at once after it: a trainer does its optimizer step in between
  std::vector<double> loop;        // one all-reduce a layer and the rule after each
};

// Ranks of this machine, a thread each, in a group that commits by itself: by a Worker, and by the loop over layers
// that trainers have, turn by turn over the same reducer.
HostSamples MeasureHostSteps(const StepCase& step_case, int ranks);

}  // namespace evenkeel::step_benchmark
