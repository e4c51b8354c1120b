#include "tests/load/load_run.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "tests/child_process.h"
#include "tests/evenkeeld_process.h"
#include "tests/load/load_security.h"
#include "tests/load/push_load.h"
#include "tests/load/push_messages.h"
#include "tests/load/turns.h"

namespace evenkeel::load {
namespace {

using step_benchmark::Median;
using step_benchmark::Report;
using tests::ChildProcess;
using tests::EvenkeeldProcess;

constexpr double kMebi = 1 << 20;
// Steps after which buffers, pages and the write-ahead log have the size that they keep.
constexpr double kWarmUpSeconds = 0.5;

absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> StartCoordinator(const LoadSecurity& security) {
  EvenkeeldProcess::Options options;
  options.flags = security.coordinator_flags();
  options.state_dir = tests::NewFolder("state");
  return EvenkeeldProcess::Start(options);
}

// An echo_server, and where it listens.
struct EchoProcess {
  std::unique_ptr<ChildProcess> process;
  std::string address;
};

absl::StatusOr<EchoProcess> StartEcho(int fan_in, size_t reply_bytes, const LoadSecurity& security) {
  std::vector<std::string> command = {tests::BuiltProgram("tests/load/echo_server"), absl::StrCat(fan_in),
                                      absl::StrCat(reply_bytes)};
  command.insert(command.end(), security.echo_arguments().begin(), security.echo_arguments().end());
  EchoProcess echo;
  echo.process = std::make_unique<ChildProcess>(command);
  for (const absl::Time deadline = absl::Now() + absl::Seconds(60); absl::Now() < deadline;) {
    const std::string said = echo.process->Output();
    if (!said.empty() && said.back() == '\n') {
      echo.address = std::string(absl::StripSuffix(said, "\n"));
      return echo;
    }
    if (const auto ending = echo.process->Poll(); ending.has_value()) {
      return absl::UnavailableError(absl::StrCat("echo_server: exit ", ending->exit_code, ": ", ending->stderr_text));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return absl::DeadlineExceededError("echo_server was neither ready nor gone within a minute");
}

PushLoad::Options LoadOptions(const LoadCase& load_case, const RunOptions& options, const LoadSecurity& security,
                              const std::string& address) {
  PushLoad::Options load;
  load.address = address;
  load.channels = options.channels == 0 ? load_case.workers : std::min(options.channels, load_case.workers);
  load.credentials = security.credentials();
  return load;
}

absl::Status WarmUp(PushLoad* load) {
  EVENKEEL_RETURN_IF_ERROR(load->Join());
  return Turns(load, /*server=*/-1).Take(kWarmUpSeconds);
}

Report NewReport(const LoadCase& load_case, const RunOptions& options, int channels) {
  Report report(load_case.name() + (options.tls ? " tls" : ""),
                absl::StrFormat("%s: %d workers, %d layers of %d experts, %d connections%s; microseconds",
                                load_case.name(), load_case.workers, load_case.layers, load_case.experts, channels,
                                options.tls ? " of mutual TLS" : ""));
  report.AddFigure("workers", load_case.workers);
  report.AddFigure("layers", load_case.layers);
  report.AddFigure("experts", load_case.experts);
  report.AddFigure("jobs", load_case.jobs);
  report.AddFigure("connections", channels);
  report.AddFigure("tls", options.tls);
  return report;
}

void TellSamples(const std::string& side, const std::string& title, const StepSamples& samples, Report* report) {
  report->AddFigure(side + "_steps", static_cast<double>(samples.step.size()));
  report->AddSamples(side + "_last_push_to_reply", title + ", the last push to a reply", samples.from_last_push);
  report->AddSamples(side + "_first_push_to_reply", title + ", the first push to a reply", samples.from_first_push);
  report->AddSamples(side + "_step", title + ", the first push to the last reply", samples.step);
}

void TellRatios(const Turns& ours, const Turns& echo, Report* report) {
  const std::vector<double> wall = Ratios(ours.wall(), echo.wall());
  const std::vector<double> cpu = Ratios(ours.server_cpu(), echo.server_cpu());
  const auto [least, most] = std::minmax_element(wall.begin(), wall.end());
  report->AddFigure("wall_ratio", Median(wall));
  report->AddFigure("least_wall_ratio", *least);
  report->AddFigure("most_wall_ratio", *most);
  report->AddFigure(
      "cpu_ratio", Median(cpu),
      absl::StrFormat("a step takes %.2f times the echo's time (in turns, %.2f to %.2f), %.2f times its server's CPU",
                      Median(wall), *least, *most, Median(cpu)));
}

void TellUsage(const Turns& ours, const Turns& echo, Report* report) {
  const double ours_cpu = 1e3 * Median(ours.server_cpu());
  const double echo_cpu = 1e3 * Median(echo.server_cpu());
  report->AddFigure("server_cpu_ms_per_step", ours_cpu);
  report->AddFigure("echo_cpu_ms_per_step", echo_cpu,
                    absl::StrFormat("server's CPU a step: %.2f ms; the echo's %.2f ms", ours_cpu, echo_cpu));
  report->AddFigure("context_switches_per_step", ours.switches());
  report->AddFigure(
      "echo_context_switches_per_step", echo.switches(),
      absl::StrFormat("context switches a step: %.0f; the echo's %.0f", ours.switches(), echo.switches()));
}

void TellBytes(const LoadCase& load_case, const PushLoad& load, const Turns& ours, Report* report) {
  const double in = static_cast<double>(load.push_bytes()) * load_case.workers;
  const double out = static_cast<double>(load.reply_bytes()) * load_case.workers;
  report->AddFigure("bytes_in_per_step", in);
  report->AddFigure("bytes_out_per_step", out);
  report->AddFigure("bytes_written_per_step", ours.written_bytes(),
                    absl::StrFormat("MiB a step: %.2f in, %.2f out, %.2f written to the disk", in / kMebi, out / kMebi,
                                    ours.written_bytes() / kMebi));
}

void TellMemory(pid_t ours, pid_t echo, Report* report) {
  const ProcessUsage a = UsageOf(ours);
  const ProcessUsage b = UsageOf(echo);
  report->AddFigure("resident_bytes", a.resident_bytes);
  report->AddFigure("peak_resident_bytes", a.peak_resident_bytes);
  report->AddFigure("echo_resident_bytes", b.resident_bytes);
  report->AddFigure(
      "echo_peak_resident_bytes", b.peak_resident_bytes,
      absl::StrFormat("MiB resident: %.0f, at most %.0f; the echo's %.0f, at most %.0f", a.resident_bytes / kMebi,
                      a.peak_resident_bytes / kMebi, b.resident_bytes / kMebi, b.peak_resident_bytes / kMebi));
}

void TellLoad(const Turns& ours, const Turns& echo, Report* report) {
  report->AddFigure("load_cores", ours.load_cores());
  report->AddFigure("echo_load_cores", echo.load_cores(),
                    absl::StrFormat("the load itself kept %.2f of this machine's %u cores busy, and %.2f in the echo's "
                                    "turns",
                                    ours.load_cores(), std::thread::hardware_concurrency(), echo.load_cores()));
}

// What each job's push-to-reply time is made of, in microseconds.
void TellJobs(const std::vector<StepSamples>& jobs, Report* report) {
  std::vector<double> p50, p99;
  for (const StepSamples& job : jobs) {
    p50.push_back(step_benchmark::Median(job.from_first_push));
    p99.push_back(step_benchmark::Quantile(job.from_first_push, 0.99));
  }
  const auto tell = [&](const char* name, const std::vector<double>& values) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    report->AddFigure(absl::StrCat("least_job_", name), *least);
    report->AddFigure(
        absl::StrCat("most_job_", name), *most,
        absl::StrFormat("%s of the first push to a reply, job by job: %.0f to %.0f", name, *least, *most));
  };
  tell("p50", p50);
  tell("p99", p99);
}

// The least and the most steps that a job took, over an equal share, and Jain's index: 1 where all took as many, 1/n
// where one took all.
void TellShares(const std::vector<StepSamples>& jobs, Report* report) {
  std::vector<double> steps;
  for (const StepSamples& job : jobs) steps.push_back(static_cast<double>(job.step.size()));
  const double sum = std::accumulate(steps.begin(), steps.end(), 0.0);
  const double squares = std::inner_product(steps.begin(), steps.end(), steps.begin(), 0.0);
  const double equal = sum / static_cast<double>(steps.size());
  const auto [least, most] = std::minmax_element(steps.begin(), steps.end());
  const double index = sum * sum / (static_cast<double>(steps.size()) * squares);
  report->AddFigure("least_share", *least / equal);
  report->AddFigure("most_share", *most / equal);
  report->AddFigure("jain_index", index,
                    absl::StrFormat("of an equal share, jobs got %.3f to %.3f; Jain's index %.4f", *least / equal,
                                    *most / equal, index));
}

}  // namespace

absl::StatusOr<Report> CompareWithEcho(const LoadCase& load_case, const RunOptions& options) {
  const PushMessages messages(load_case);
  const LoadSecurity security(options.tls);
  EVENKEEL_ASSIGN_OR_RETURN(const auto coordinator, StartCoordinator(security));
  const PushLoad::Options load_options = LoadOptions(load_case, options, security, coordinator->address());
  PushLoad load(load_options, load_case, &messages);
  EVENKEEL_RETURN_IF_ERROR(WarmUp(&load));

  EVENKEEL_ASSIGN_OR_RETURN(const EchoProcess echo, StartEcho(load_case.workers, load.reply_bytes(), security));
  PushLoad::Options echo_options = LoadOptions(load_case, options, security, echo.address);
  echo_options.echo = true;
  PushLoad echo_load(echo_options, load_case, &messages);
  EVENKEEL_RETURN_IF_ERROR(WarmUp(&echo_load));

  Turns ours(&load, coordinator->pid());
  Turns echos(&echo_load, echo.process->pid());
  for (int round = 0; round < options.rounds; ++round) {
    EVENKEEL_RETURN_IF_ERROR(ours.Take(options.seconds));
    EVENKEEL_RETURN_IF_ERROR(echos.Take(options.seconds));
  }
  Report report = NewReport(load_case, options, load_options.channels);
  TellSamples("evenkeel", "evenkeeld", ours.samples(), &report);
  TellSamples("echo", "echo", echos.samples(), &report);
  TellRatios(ours, echos, &report);
  TellUsage(ours, echos, &report);
  TellBytes(load_case, load, ours, &report);
  TellMemory(coordinator->pid(), echo.process->pid(), &report);
  TellLoad(ours, echos, &report);
  return report;
}

absl::StatusOr<Report> ShareAmongJobs(const LoadCase& load_case, const RunOptions& options) {
  const PushMessages messages(load_case);
  const LoadSecurity security(options.tls);
  EVENKEEL_ASSIGN_OR_RETURN(const auto coordinator, StartCoordinator(security));
  const PushLoad::Options load_options = LoadOptions(load_case, options, security, coordinator->address());
  PushLoad load(load_options, load_case, &messages);
  EVENKEEL_RETURN_IF_ERROR(WarmUp(&load));

  LoadCase alone = load_case;
  alone.jobs = 1;
  EVENKEEL_ASSIGN_OR_RETURN(const auto other_coordinator, StartCoordinator(security));
  PushLoad load_alone(LoadOptions(alone, options, security, other_coordinator->address()), alone, &messages);
  EVENKEEL_RETURN_IF_ERROR(WarmUp(&load_alone));

  Turns together(&load, coordinator->pid());
  Turns one(&load_alone, other_coordinator->pid());
  for (int round = 0; round < options.rounds; ++round) {
    EVENKEEL_RETURN_IF_ERROR(together.Take(options.seconds));
    EVENKEEL_RETURN_IF_ERROR(one.Take(options.seconds));
  }
  Report report = NewReport(load_case, options, load_options.channels);
  TellSamples("together", "together", together.samples(), &report);
  TellSamples("alone", "one alone", one.samples(), &report);
  TellJobs(together.jobs(), &report);
  TellShares(together.jobs(), &report);
  const double times = Median(Ratios(one.wall(), together.wall()));
  report.AddFigure("times_the_steps_of_one", times,
                   absl::StrFormat("together they take %.2f times the steps of one alone", times));
  report.AddFigure("server_cpu_ratio", Median(Ratios(together.server_cpu(), one.server_cpu())));
  return report;
}

}  // namespace evenkeel::load
