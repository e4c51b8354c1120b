#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"
#include "client/reduce/groups.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// What a worker says when it joins, for all ranks of its group: all of the request but next_step. `runtime` is the
// worker's device, or null. INVALID_ARGUMENT, naming field and value, when an option is malformed; what only the
// coordinator can judge (names, limits, agreement with others) is left to it.
absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const Group& group,
                                                const LayerTable& layers, uint64_t incarnation,
                                                const DeviceRuntime* runtime = nullptr);

}  // namespace evenkeel::client
