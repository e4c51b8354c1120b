#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "tools/coordinator_call.h"

namespace evenkeel::tools {

// The state of a job of a running coordinator after its last committed step. Errors of the call, and of
// job::OpenSnapshot.
absl::StatusOr<v1::JobState> CallForState(CoordinatorCaller* caller, const std::string& job);

}  // namespace evenkeel::tools
