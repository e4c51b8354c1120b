#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "job/job_plan.h"

// Messages as contributors send them, for tests.
namespace evenkeel::job {

v1::LayerSpec TestLayer(const std::string& name, int num_experts, int top_k);

// Job "job" with the layers "a" (4 experts, top 2) and "b" (3 experts, top 1); everything else is left open.
v1::JobSpec TestSpec(int contributors);

// Likewise with two streams at "a", which counts what a capacity limit left, and a third layer "c" (5 experts, top 2)
// that does too: 4 rows of 16 experts.
v1::JobSpec TestSpecWithStreams(int contributors);

// PlanJob with the preset evenkeel and the default limits; a refusal ends the test program.
JobPlan TestPlan(const v1::JobSpec& spec);

v1::JoinRequest TestJoin(const v1::JobSpec& spec, int contributor, uint64_t incarnation, uint64_t next_step);

// count = low + 2^32 * high; no high words when all are 0.
v1::Counts PackCounts(absl::Span<const uint64_t> counts);

}  // namespace evenkeel::job
