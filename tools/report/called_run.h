#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "tools/coordinator_call.h"
#include "tools/report/run_picture.h"

namespace evenkeel::tools {

// The run of a job, from what a running coordinator remembers of it: since its start, and of the loads those of the
// last step alone. Errors of the calls.
absl::StatusOr<RunPicture> CallForRun(const CoordinatorOptions& options, const std::string& job);

}  // namespace evenkeel::tools
