#pragma once

#include <vector>

#include "evenkeel/v1/job.pb.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::job {

// Whether a state that a job is to go on from lost its bias: a violation (ZERO_BIAS) for each layer whose bias is 0 for
// all experts though a rule that would have moved it has had steps to do so. Layers that no rule moves (mode FROZEN or
// OBSERVE, frozen, rate 0; top_k = num_experts) and states that no step has moved have none.
std::vector<v1::Violation> FindZeroBias(const JobPlan& plan, const JobState& state);

}  // namespace evenkeel::job
