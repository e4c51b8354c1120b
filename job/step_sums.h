#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "job/layer_table.h"

namespace evenkeel::job {

// The counts of one step or more, summed over contributors, in the job's flat layout. Integer, so that the order of
// arrival does not show.
struct StepSums {
  StepSums() = default;
  explicit StepSums(const LayerTable& layers)
      : counts(layers.total_experts()), tokens(layers.size()), dispatched(layers.dispatched_experts()) {}

  void Add(const StepSums& other) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] += other.tokens[i];
    for (size_t i = 0; i < dispatched.size(); ++i) dispatched[i] += other.dispatched[i];
  }

  void Clear() {
    for (std::vector<uint64_t>* sums : {&counts, &tokens, &dispatched}) std::fill(sums->begin(), sums->end(), 0);
  }

  std::vector<uint64_t> counts;      // [total experts]
  std::vector<uint64_t> tokens;      // [rows]: valid tokens
  std::vector<uint64_t> dispatched;  // [dispatched experts]: of the counts, what a capacity limit left
};

}  // namespace evenkeel::job
