#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "job/snapshot.h"

namespace evenkeel::tools {

// The states in a file that holds a serialised v1::Snapshot. Errors name the path: NOT_FOUND when there is none, and
// what job::DecodeSnapshot refuses.
absl::StatusOr<job::SnapshotStates> ReadStateFile(const std::string& path);

}  // namespace evenkeel::tools
