#pragma once

#include <cstdint>
#include <vector>

#include "evenkeel/options.h"

namespace evenkeel::step_benchmark {

// The step that is measured: every rank counts the same at every layer.
struct StepCase {
  int layers = 61;
  int experts = 256;
  uint64_t steps = 300;    // that are measured
  uint64_t warm_up = 20;   // before them
  uint64_t tokens = 4096;  // of a rank
  int top_k = 8;
};

// uint64 [experts]: uneven, 2 of 3 assignments go to the first half of the experts. Their sum is tokens * top_k.
std::vector<uint64_t> CountsOf(const StepCase& step_case);

// A rank by itself, without a coordinator, that routes by itself and counts.
WorkerOptions OptionsOf(const StepCase& step_case);

}  // namespace evenkeel::step_benchmark
