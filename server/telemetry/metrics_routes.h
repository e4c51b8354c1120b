#pragma once

#include <vector>

#include "server/http/route.h"
#include "server/telemetry/metrics.h"

namespace evenkeel::telemetry {

// /metrics and /metrics/experts. `metrics` outlives what serves it.
std::vector<http::Route> MetricsRoutes(const Metrics* metrics);

}  // namespace evenkeel::telemetry
