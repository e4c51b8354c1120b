#include "tests/load/turns.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"

namespace evenkeel::load {
namespace {

constexpr int kLeastSteps = 3;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void Append(const std::vector<double>& more, std::vector<double>* samples) {
  samples->insert(samples->end(), more.begin(), more.end());
}

void Append(const StepSamples& more, StepSamples* samples) {
  Append(more.step, &samples->step);
  Append(more.from_first_push, &samples->from_first_push);
  Append(more.from_last_push, &samples->from_last_push);
}

}  // namespace

absl::Status Turns::Take(double seconds) {
  const ProcessUsage server = UsageOf(server_);
  const double load_cpu = UsageOf(getpid()).cpu_seconds;
  const double start = Now();
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<StepSamples> jobs,
                            load_->Run([&](int steps) { return steps >= kLeastSteps && Now() - start >= seconds; }));
  const double wall = Now() - start;
  const ProcessUsage after = UsageOf(server_);

  jobs_.resize(jobs.size());
  int64_t steps = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    Append(jobs[i], &samples_);
    Append(jobs[i], &jobs_[i]);
    steps += static_cast<int64_t>(jobs[i].step.size());
  }
  wall_.push_back(wall / static_cast<double>(steps));
  server_cpu_.push_back((after.cpu_seconds - server.cpu_seconds) / static_cast<double>(steps));
  steps_ += steps;
  switches_ += after.context_switches - server.context_switches;
  written_bytes_ += after.written_bytes - server.written_bytes;
  load_cpu_ += UsageOf(getpid()).cpu_seconds - load_cpu;
  seconds_ += wall;
  return absl::OkStatus();
}

std::vector<double> Ratios(const std::vector<double>& a, const std::vector<double>& b) {
  EVENKEEL_CHECK(a.size() == b.size());
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  return ratios;
}

}  // namespace evenkeel::load
