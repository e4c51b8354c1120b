#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/reduce/groups.h"
#include "client/source/bias_source.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

// Where the bias of a worker with these options comes from:
//
//   coordinator  group   the counts of a step
//   yes          none    are pushed by every rank
//   yes          some    are added up in the group, and pushed by its leader
//   none         world   are added up in the group, and every rank moves the bias by the sums
//   none         none    of the only rank move its bias
//
// `group` and `join` are what GroupOf and MakeJoinRequest make of the options. INVALID_ARGUMENT, naming the option,
// where the ranks would move their biases by different sums, which makes replicas diverge, and this was not asked for;
// where the group's ranks have no place to find each other; or where the job itself is wrong.
absl::StatusOr<std::unique_ptr<BiasSource>> MakeBiasSource(const WorkerOptions& options, const Group& group,
                                                           const v1::JoinRequest& join);

}  // namespace evenkeel::client
