#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/deadline.h"
#include "client/link/backoff.h"
#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::client {

// The snapshot of `job` after `step`, as the coordinator (host:port) keeps it: over a connection of its own, so that
// any rank may ask. Waits until the step is committed, through restarts of the coordinator. DEADLINE_EXCEEDED, with
// what was met last, when `deadline` comes first; DATA_LOSS when what came is damaged; else what the coordinator said.
absl::StatusOr<v1::Snapshot> ReadState(const std::string& coordinator, const std::string& job, uint64_t step,
                                       Deadline deadline, const BackoffOptions& backoff = {});

}  // namespace evenkeel::client
