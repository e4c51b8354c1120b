#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "evenkeel/v1/bias_coordinator.pb.h"

// What `evenkeel status` shows to people. Pure functions of what the coordinator answered.
namespace evenkeel::tools {

// A table of the jobs, those in trouble first, in the order given otherwise, and a line for each of these on why; or a
// line that says that there are none. `halted`: names of jobs that are halted, which a summary does not tell.
std::string ShowJobs(const v1::ListJobsResponse& response, const std::set<std::string>& halted = {});

// How much of a job is shown.
struct JobViewOptions {
  // Contributors that are in order, and layers; the others are a number.
  size_t contributors = 16;
  size_t layers = 10;
  // Layers by name, numbers in it as numbers; else the largest max violation first.
  bool by_name = false;
};

// One job: a line, then what stands out, what its workers run on, how its config has changed if it has, its
// contributors, those that are not in order first, and its layers.
std::string ShowJob(const v1::DescribeJobResponse& response, const JobViewOptions& options = {});

}  // namespace evenkeel::tools
