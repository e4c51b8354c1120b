#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"
#include "client/reduce/groups.h"
#include "client/reduce/nccl_library.h"
#include "client/source/bias_source.h"
#include "client/worker/device_workspace.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Where the bias of a worker comes from.
struct WorkerSource {
  // Of `source`, and of what `device` makes.
  std::unique_ptr<const NcclLibrary> nccl;
  std::unique_ptr<BiasSource> source;
  // What a device has to do with it; where there is one.
  DeviceWorkspaceOptions device;
};

// Where the bias of a worker with these options comes from:
//
//   coordinator  group   the counts of a step
//   yes          none    are pushed by every rank
//   yes          some    are added up in the group, and pushed by its leader
//   none         world   are added up in the group, and every rank moves the bias by the sums
//   none         none    of the only rank move its bias
//
// Groups add up in the memory of the host, or on their devices; without a coordinator a device, unless the group adds
// up on the host, moves the bias by itself.
//
// `group` and `join` are what GroupOf and MakeJoinRequest make of the options; `runtime` is the worker's device, or
// null, and outlives what is made. INVALID_ARGUMENT, naming the option, where the ranks would move their biases by
// different sums, which makes replicas diverge, and this was not asked for; where the group's ranks have no place to
// find each other; where the reducer is unknown or needs a device; or where the job itself is wrong. Errors of
// OpenNccl, and of CheckCredentials.
absl::StatusOr<WorkerSource> MakeWorkerSource(const WorkerOptions& options, const Group& group,
                                              const v1::JoinRequest& join, DeviceRuntime* runtime);

}  // namespace evenkeel::client
