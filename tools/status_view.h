#pragma once

#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"

// What `evenkeel status` shows to people. Pure functions of what the coordinator answered.
namespace evenkeel::tools {

// A table of the jobs, or a line that says that there are none.
std::string ShowJobs(const v1::ListJobsResponse& response);

// One job: a line, one more if it is halted, how its config has changed if it has, its contributors, its layers.
std::string ShowJob(const v1::DescribeJobResponse& response);

}  // namespace evenkeel::tools
