#pragma once

#include <cstdint>
#include <string>

#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::job {

// For tests: the state of a job after the commit of step `tag`, from 1, in epoch 1, every number of which follows from
// the tag, so that a mixture of two equals neither: `layers` layers of `experts` experts, two contributors. It needs
// the state of the step before, or, every fourth, of the one before that; the first needs none.
v1::JobState TestState(const std::string& job, uint64_t tag, int layers = 2, int experts = 8);

}  // namespace evenkeel::job
