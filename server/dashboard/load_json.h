#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::dashboard {

// What every expert of a job counted in its last commit, and its bias: /api/v1/jobs/NAME/load, as doc/api.md has it,
// one row for each stream of a layer. Short enough to be asked for every second. INTERNAL where the state is none that
// a coordinator made. Pure, thread-safe.
absl::StatusOr<std::string> LoadJson(const v1::JobState& state);

}  // namespace evenkeel::dashboard
