#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/worker/counting.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What a worker says when it joins: all of the request but next_step. INVALID_ARGUMENT, naming field and value, when an
// option is malformed; what only the coordinator can judge (names, limits, agreement with others) is left to it.
absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const LayerTable& layers,
                                                uint64_t incarnation);

// The part of a push that is the same for every step.
v1::PushRequest MakePushRequest(const v1::JoinRequest& join);

// Writes what was counted (by the caller's layer index) into `push`, in protocol order: valid_tokens; short_slots, or
// nothing when there are none; the counts, their high words only when one is not 0. Reuses the memory of `push`.
void FillCounts(const LayerTable& layers, const std::vector<LayerCounts>& counts, v1::PushRequest* push);

}  // namespace evenkeel::client
