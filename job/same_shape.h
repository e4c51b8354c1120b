#pragma once

#include "absl/status/status.h"
#include "job/job_plan.h"

namespace evenkeel::job {

// Whether a state of the job `theirs` may become one of the job `ours`: the layers must be the same, by name, with the
// same experts, top_k, streams and accumulator, routed alike where both say how (the bias is added to the same scores),
// and moved by the same rule (it reads the averages that the state holds). Contributors, lag, rates and all else may
// differ. INVALID_ARGUMENT naming the first layer that differs, and in what.
absl::Status CheckSameShape(const JobPlan& ours, const JobPlan& theirs);

}  // namespace evenkeel::job
