#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "prometheus/client_metric.h"
#include "server/telemetry/job_view.h"

namespace evenkeel::telemetry {

// What the operating system knows of this process; kNone where it does not tell.
struct ProcessFigures {
  double resident_bytes = kNone;
  double cpu_seconds = kNone;
  double open_files = kNone;
  // Since 1970.
  double start_time_seconds = kNone;
};

ProcessFigures ReadProcessFigures();

// Of the files in a folder, and in those in it; kNone where it cannot be read.
double BytesIn(const std::string& folder);

// Everything that one scrape shows of the process.
struct ProcessSample {
  ProcessFigures figures;
  // By method and code.
  std::map<std::pair<std::string, std::string>, uint64_t> calls;
  std::map<std::string, prometheus::ClientMetric> call_seconds;
  double connections = kNone;
  double store_bytes = kNone;
  uint64_t store_failures = 0;
};

}  // namespace evenkeel::telemetry
