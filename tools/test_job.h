#pragma once

#include <string>
#include <vector>

#include "evenkeel/v1/job.pb.h"
#include "evenkeel/v1/snapshot.pb.h"

// Jobs for tests of the commands that read and write states.
namespace evenkeel::tools {

// Two contributors; a layer of four experts for each name, and a balance config with this preset.
v1::JobSpec TestSpec(const std::vector<std::string>& layers, const std::string& preset = "evenkeel");

// The state of that job after step 40, of which 38 were taken, with these biases, one for each layer in the order of
// the names' bytes; the EMA of expert e is e / 16, and counts are pending.
v1::JobState TestState(const v1::JobSpec& spec, const std::vector<std::vector<float>>& biases);

}  // namespace evenkeel::tools
