#pragma once

#include <sys/types.h>

#include <vector>

#include "absl/status/status.h"
#include "tests/load/process_usage.h"
#include "tests/load/push_load.h"

namespace evenkeel::load {

// What one side of a comparison did and used in its turns.
class Turns {
 public:
  // `load` and the process outlive this.
  Turns(PushLoad* load, pid_t server) : load_(load), server_(server) {}

  // Every job takes steps for that long, at least 3.
  absl::Status Take(double seconds);

  // Of each turn, per step of all its jobs together. Seconds.
  const std::vector<double>& wall() const { return wall_; }
  const std::vector<double>& server_cpu() const { return server_cpu_; }
  // Per step, over all turns.
  double switches() const { return static_cast<double>(switches_) / steps_; }
  double written_bytes() const { return static_cast<double>(written_bytes_) / steps_; }
  // Cores that this process, the load, kept busy while its turns lasted.
  double load_cores() const { return load_cpu_ / seconds_; }

  // Of all turns, of all jobs together and of each.
  const StepSamples& samples() const { return samples_; }
  const std::vector<StepSamples>& jobs() const { return jobs_; }

 private:
  PushLoad* const load_;
  const pid_t server_;
  std::vector<double> wall_, server_cpu_;
  StepSamples samples_;
  std::vector<StepSamples> jobs_;
  int64_t steps_ = 0;
  int64_t switches_ = 0;
  int64_t written_bytes_ = 0;
  double load_cpu_ = 0;
  double seconds_ = 0;
};

// a[i] / b[i]; as many of both.
std::vector<double> Ratios(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace evenkeel::load
