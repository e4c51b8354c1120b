#pragma once

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/job_plan.h"

namespace evenkeel::core {

// Adds what people and tools are told of each layer of `state`, whose spec is that of `plan`, but for its trend, which
// a state does not tell. Pure: a state that is shared can be described on any thread.
void DescribeLayers(const job::JobPlan& plan, const v1::JobState& state, v1::DescribeJobResponse* response);

}  // namespace evenkeel::core
