#pragma once

#include "server/core/fleet.h"
#include "server/telemetry/job_view.h"

namespace evenkeel::engine {

// Says on `view` what the contributors run on, by what is alike, and how they get on.
void DescribeWorkers(const core::Fleet& fleet, telemetry::JobView* view);

}  // namespace evenkeel::engine
