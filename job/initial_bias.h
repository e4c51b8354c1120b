#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::job {

// A job that starts from the bias that its model brings: float32, all layers in layer order; empty where it brings
// none.

// XXH3-64 of the layers' hashes, as StateHash; 0 where it is empty. Of the right length.
uint64_t InitialBiasHash(const JobPlan& plan, absl::Span<const float> bias);

// Puts `bias` into the state of a job that no step has touched. INVALID_ARGUMENT, naming the layer, the expert and the
// value, for another length than that of all experts, a value that is not finite, and one that the layer's ABSOLUTE cap
// would cut: recentre the layer first (the same experts are selected), or give it another cap. A job that is only
// observed has no bias to begin with.
absl::Status SetInitialBias(const JobPlan& plan, absl::Span<const float> bias, JobState* state);

}  // namespace evenkeel::job
