#pragma once

#include <string>

#include "client/reduce/groups.h"
#include "client/worker/layer_table.h"
#include "evenkeel/options.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "evenkeel/v1/job.pb.h"

namespace evenkeel::client {

// What a worker is part of, by what rule its bias moves, and every layer that is registered, in one line: for the log
// of a training run. `effective` is the job as it is in force.
std::string Summary(const WorkerOptions& options, const Group& group, const LayerTable& layers,
                    const v1::JobSpec& effective);

// What is to be said of the state that `join` brings, "" if nothing: layers whose bias is 0 though a rule has moved it.
std::string StateWarning(const v1::JoinRequest& join);

}  // namespace evenkeel::client
