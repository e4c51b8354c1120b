#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/benchmark/report.h"

namespace evenkeel::soak {

struct SoakOptions {
  int64_t steps = 100'000;
  int workers = 64;  // at least 8
  uint64_t seed = 1;
  // Whether the coordinator records its jobs.
  bool record = false;
  // Hears a line now and then of how far it is.
  std::function<void(const std::string& line)> progress = [](const std::string&) {};
};

struct SoakReport {
  step_benchmark::Report figures;
  // How often each kind struck, by its name.
  std::map<std::string, int64_t> faults;
  // What grew, one sentence each; empty: everything was flat.
  std::vector<std::string> growth;
};

// A job of `workers` takes so many steps at a real evenkeeld, with all that faults.h has on the way, its folders in the
// test's temporary directory. The coordinator is ended again and again in the first and the last fifth of the steps;
// between them it lives once, so that what it gathers within a life is seen as well as what it gathers over lives.
// An error, which names the seed and the step, where the job is not what the reference says.
absl::StatusOr<SoakReport> RunSoak(const SoakOptions& options);

}  // namespace evenkeel::soak
