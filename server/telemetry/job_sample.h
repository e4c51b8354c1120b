#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "prometheus/client_metric.h"
#include "server/telemetry/job_view.h"

namespace evenkeel::telemetry {

// Everything that one scrape shows of one job.
struct JobSample {
  // Null only for the pushes of jobs that have no view.
  std::shared_ptr<const JobView> view;
  std::map<std::string, uint64_t> pushes;  // by result
  uint64_t record_errors = 0;
  prometheus::ClientMetric barrier_wait_seconds;
  prometheus::ClientMetric step_commit_seconds;
  prometheus::ClientMetric store_write_seconds;
};

}  // namespace evenkeel::telemetry
