#pragma once

#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "tools/report/run_picture.h"

namespace evenkeel::tools {

// The run of a job, from its record: `record` is the folder of all jobs, `job` may be empty where there is one only.
// Every few seconds a line on `progress` says how far it is. What the replay finds (differences, damage, gaps) is among
// the events.
//   INVALID_ARGUMENT  several jobs are recorded, and none was named
//   NOT_FOUND         no such record, or no step in it
//   UNAVAILABLE       it cannot be read
absl::StatusOr<RunPicture> ReadRecordedRun(const std::string& record, const std::string& job, std::ostream& progress);

}  // namespace evenkeel::tools
