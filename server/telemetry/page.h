#pragma once

#include <string>
#include <vector>

#include "server/telemetry/job_sample.h"

namespace evenkeel::telemetry {

// The metrics page of `samples`, in the Prometheus text format, version 0.0.4: the one place where the metrics have
// their names. Pure, thread-safe.
std::string RenderPage(const std::vector<JobSample>& samples);

}  // namespace evenkeel::telemetry
