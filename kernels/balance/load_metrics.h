#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace evenkeel::balance {

// How unevenly the experts of a layer are loaded. The load of an expert is its count over its wanted count:
// the mean, or target * sum of counts.
struct LoadMetrics {
  double max_violation = 0;  // max load - 1, (max c - m) / m: MaxVio of arXiv 2408.15664
  double min_violation = 0;  // min load - 1; -1 where an expert had no token
  double avg_violation = 0;  // mean of |load - 1|
  double cv = 0;             // population standard deviation of the load over its mean
  double entropy = 0;        // of the loads as a distribution, over ln n: 1 is even; 1 too for a single expert
  int dead = 0;              // experts with count 0
  int starved = 0;           // experts with load below 0.1, the dead ones included
};

// Metrics of one layer over counts of a step or of a window of steps. `target`: empty, or one entry per
// expert as in BalanceConfig; experts whose target is not above 0 have no wanted count and are left out
// (their counts are in the sum). All zero if the counts are, or if no expert is left. Sizes that differ
// abort. For people and dashboards: goes through libm, so hosts may differ in the last bits. Pure,
// thread-safe, allocates nothing.
LoadMetrics ComputeLoadMetrics(absl::Span<const uint64_t> counts, absl::Span<const float> target = {});

// Its max_violation alone, to the bit, at a small part of the cost; without libm.
double MaxViolation(absl::Span<const uint64_t> counts, absl::Span<const float> target = {});

// Its max_violation and avg_violation alone, but for the rounding, at a small part of the cost; without libm where
// there is no target. Counts whose sum does not fit 64 bits are no counts.
struct Violations {
  double max = 0;
  double avg = 0;
};
Violations ComputeViolations(absl::Span<const uint64_t> counts, absl::Span<const float> target = {});

// The load of each expert; not a number where it has no wanted count, and 0 for all without a count.
void ComputeLoads(absl::Span<const uint64_t> counts, absl::Span<const float> target, absl::Span<double> loads);

}  // namespace evenkeel::balance
