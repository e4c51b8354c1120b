#pragma once

#include <cstdint>
#include <string>

#include "evenkeel/v1/job.pb.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "google/protobuf/repeated_field.h"

// How the config of a job has changed, and whether the job is halted, as commands show it to people. Pure functions.
namespace evenkeel::tools {

// A table of the changes, each with what it changed and whether it is past, in force for `open_step` or to come; a line
// where there are none.
std::string ShowChanges(const google::protobuf::RepeatedPtrField<v1::ConfigChange>& changes, uint64_t open_step);

// A line on why the layers of `job` do not move, and what to do.
std::string ShowHalt(const std::string& job, const v1::Halt& halt);

}  // namespace evenkeel::tools
