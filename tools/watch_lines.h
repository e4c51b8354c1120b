#pragma once

#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"

// A job's step as one line, for `evenkeel watch` where there is no screen. Pure functions.
namespace evenkeel::tools {

// "step 81  epoch 3  max violation 0.125  worst l.3 0.912  joined 4/4  ! step 82 waits for contributor 3 (and 1 more)"
std::string WatchLine(const v1::DescribeJobResponse& response);

// The same as a JSON object: job, epoch, step, open_step, joined, contributors, max_violation, worst (layer, stream and
// max_violation, or null), stand_outs.
std::string WatchLineJson(const v1::DescribeJobResponse& response);

}  // namespace evenkeel::tools
