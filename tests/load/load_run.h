#pragma once

#include "absl/status/statusor.h"
#include "client/benchmark/report.h"
#include "tests/load/load_case.h"

namespace evenkeel::load {

struct RunOptions {
  // Connections of a job; 0: one for each worker.
  int channels = 0;
  // A round is a turn of each side; figures are medians over rounds, or quantiles of all that was sampled.
  int rounds = 5;
  // Of a turn, which has at least 3 steps.
  double seconds = 1;
  // Mutual TLS on both sides, instead of plaintext.
  bool tls = false;
};

// Evenkeeld, durable, and echo_server with the same bytes and fan-in, each a process of its own, turn by turn under the
// same load. For one job.
absl::StatusOr<step_benchmark::Report> CompareWithEcho(const LoadCase& load_case, const RunOptions& options);

// All jobs of the case at once on one evenkeeld, and turn by turn one such job alone on another.
absl::StatusOr<step_benchmark::Report> ShareAmongJobs(const LoadCase& load_case, const RunOptions& options);

}  // namespace evenkeel::load
