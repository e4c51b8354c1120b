#pragma once

#include <cstdint>
#include <memory>

#include "evenkeel/v1/bias_coordinator.pb.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::engine {

// What the metrics page shows of a job that core has described.
std::shared_ptr<const telemetry::JobView> MakeJobView(const v1::DescribeJobResponse& description,
                                                      uint64_t tokens_total);

}  // namespace evenkeel::engine
