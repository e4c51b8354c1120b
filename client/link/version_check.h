#pragma once

#include "absl/status/status.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Holds what arrived against what was asked for. Both: DATA_LOSS, naming the layer and both values; pure, thread-safe.

// Whether `version` is complete for the layers of `job` (sorted by name) and unharmed: the bias and every array have
// the layers' sizes, XXH3-64 of each layer's bias is its layer_hash, and those hashes make the state_hash. A job that
// is only observed has no bias, and no hashes of it: such a version is one of that job alone.
absl::Status VerifyVersion(const v1::JobSpec& job, const v1::CommittedVersion& version);

// Whether the spec in force has the layers of `job`, in the same order and of the same sizes.
absl::Status VerifyLayers(const v1::JobSpec& job, const v1::JobSpec& effective);

}  // namespace evenkeel::client
