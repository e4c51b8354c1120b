#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::tools {

// The state in a file that holds a serialised v1::Snapshot. Errors name the path: NOT_FOUND when there is none, and
// what store::DecodeSnapshot refuses.
absl::StatusOr<v1::JobState> ReadStateFile(const std::string& path);

}  // namespace evenkeel::tools
