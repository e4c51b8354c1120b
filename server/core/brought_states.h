#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "evenkeel/v1/snapshot.pb.h"
#include "job/snapshot.h"

namespace evenkeel::core {

// The states of a job that a caller brings, and what tells them from others.
struct BroughtStates {
  job::SnapshotStates states;
  // Of the snapshot.
  uint64_t checksum = 0;
};

// INVALID_ARGUMENT (INVALID_FIELD) for a snapshot that job::OpenSnapshot refuses, or of an epoch or step beyond 2^62,
// or with more than 2^47 counts or tokens pending at a layer.
absl::StatusOr<std::shared_ptr<const BroughtStates>> OpenBrought(const v1::Snapshot& snapshot);

}  // namespace evenkeel::core
