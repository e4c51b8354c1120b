#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/reduce/groups.h"
#include "client/source/step_counts.h"
#include "client/worker/counting.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What a worker says when it joins, for all ranks of its group: all of the request but next_step. INVALID_ARGUMENT,
// naming field and value, when an option is malformed; what only the coordinator can judge (names, limits, agreement
// with others) is left to it.
absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const Group& group,
                                                const LayerTable& layers, uint64_t incarnation);

// Writes what was counted (by the caller's layer index) into `step`, in protocol order.
void CopyCounts(const LayerTable& layers, const std::vector<LayerCounts>& counts, StepCounts* step);

}  // namespace evenkeel::client
