// What a step costs the coordinator: a real evenkeeld, durable, and 1 to 1,024 workers that push to it, on one machine;
// and beside it, turn by turn, a bare gRPC server with the same fan-in that answers with as many bytes.
//
//   bazel run //server:load_benchmark                      the cases of doc/operations.md
//   ... -- --cases 64x61x256,1024x61x256                   WORKERSxLAYERSxEXPERTS
//   ... -- --quick                                         1x8x8 and 8x64x64, for a look
//   ... -- --full                                          and over TLS, and 16 jobs at once
//   ... -- --cases 8x61x256 --jobs 16                      jobs at once: does each get its share?
//   ... -- --tls                                           mutual TLS on both sides
//   ... -- --channels 16                                   connections that the workers share; 0: one for each
//   ... -- --json                                          one object, whose fields are named as the lines are
//   ... -- --state_dir DIR                                 the disk to write to; default: the temporary directory
//
// A turn lasts --seconds; there are --rounds of each side. Ratios are medians over rounds, each of turns that follow
// one another, so that whatever else the machine does meets both. The workers are one thread that holds prepared
// pushes: on two cores it takes its part of them from both sides alike, and says how much. Measure with nothing else to
// do.

#include <stdlib.h>
#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/load/load_case.h"
#include "tests/load/load_run.h"
#include "tests/scratch_folder.h"

ABSL_FLAG(std::string, cases, "1x8x8,16x61x256,64x61x256,256x61x256,1024x61x256",
          "WORKERSxLAYERSxEXPERTS, separated by commas");
ABSL_FLAG(bool, quick, false, "1x8x8 and 8x64x64 in short turns");
ABSL_FLAG(bool, full, false, "after the cases, some over TLS, and 16 jobs at once");
ABSL_FLAG(int, jobs, 1, "jobs at once, 1 to 64");
ABSL_FLAG(int, channels, 0, "connections that the workers of a job share; 0: one for each worker");
ABSL_FLAG(bool, tls, false, "mutual TLS, on both sides");
ABSL_FLAG(int, rounds, 7, "turns of each side");
ABSL_FLAG(double, seconds, 1, "of a turn");
ABSL_FLAG(bool, json, false, "one JSON object");
ABSL_FLAG(std::string, state_dir, "", "folder whose disk is written to; default: the temporary directory");
ABSL_FLAG(std::string, machine, "", "what to call this machine in the JSON");

namespace evenkeel::load {
namespace {

constexpr char kQuickCases[] = "1x8x8,8x64x64";
// What --full adds.
constexpr char kTlsCases[] = "64x61x256,1024x61x256";
constexpr char kJobsCase[] = "4x61x256";
constexpr int kJobs = 16;
constexpr int kQuickRounds = 3;
constexpr double kQuickSeconds = 0.2;

int Refuse(const std::string& why) {
  std::fprintf(stderr, "load_benchmark: %s\n", why.c_str());
  return 2;
}

// The processor's name, as the kernel has it.
std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, 10, "model name") == 0 && line.find(": ") != std::string::npos) {
      return line.substr(line.find(": ") + 2);
    }
  }
  return "unknown";
}

std::string LoadAverage() {
  double averages[3] = {};
  return getloadavg(averages, 3) == 3 ? absl::StrFormat("%.2f, %.2f, %.2f", averages[0], averages[1], averages[2]) : "";
}

step_benchmark::Report ReportOfMachine() {
  utsname system = {};
  uname(&system);
  const std::string machine = absl::GetFlag(FLAGS_machine).empty() ? Processor() : absl::GetFlag(FLAGS_machine);
  step_benchmark::Report report("context",
                                absl::StrFormat("%s, %u cores, Linux %s; load average %s at the start", machine,
                                                std::thread::hardware_concurrency(), system.release, LoadAverage()));
  report.AddWords("machine", machine);
  report.AddFigure("cores", std::thread::hardware_concurrency());
  report.AddWords("kernel", system.release);
  report.AddWords("date", absl::FormatTime(absl::Now(), absl::UTCTimeZone()));
  report.AddWords("load_average", LoadAverage());
  return report;
}

struct Measurement {
  LoadCase load_case;
  RunOptions options;
};

// Cases that are known to be right.
std::vector<Measurement> FullMeasurements(const RunOptions& options) {
  std::vector<Measurement> measurements;
  RunOptions over_tls = options;
  over_tls.tls = true;
  const std::vector<LoadCase> cases = *ParseLoadCases(kTlsCases);
  for (const LoadCase& load_case : cases) measurements.push_back({load_case, over_tls});
  measurements.push_back({*ParseLoadCase(kJobsCase), options});
  measurements.back().load_case.jobs = kJobs;
  return measurements;
}

int Run(const std::vector<Measurement>& measurements) {
  const bool json = absl::GetFlag(FLAGS_json);
  const tests::ScratchFolder scratch(absl::GetFlag(FLAGS_state_dir));
  const step_benchmark::Report context = ReportOfMachine();
  std::fputs(json ? absl::StrCat("{", context.Json()).c_str() : context.Text().c_str(), stdout);
  for (const auto& [load_case, options] : measurements) {
    const auto report = load_case.jobs == 1 ? CompareWithEcho(load_case, options) : ShareAmongJobs(load_case, options);
    if (!report.ok()) return Refuse(absl::StrCat(load_case.name(), ": ", report.status().message()));
    std::fputs(json ? absl::StrCat(",\n", report->Json()).c_str() : absl::StrCat("\n", report->Text()).c_str(), stdout);
    std::fflush(stdout);
  }
  if (json) std::fputs("}\n", stdout);
  return 0;
}

int Main() {
  const bool quick = absl::GetFlag(FLAGS_quick);
  const absl::StatusOr<std::vector<LoadCase>> cases = ParseLoadCases(quick ? kQuickCases : absl::GetFlag(FLAGS_cases));
  if (!cases.ok()) return Refuse(absl::StrCat("--cases: ", cases.status().message()));
  const int jobs = absl::GetFlag(FLAGS_jobs);
  if (jobs < 1 || jobs > 64) return Refuse(absl::StrCat("--jobs is ", jobs, "; 1 to 64 are allowed"));

  RunOptions options;
  options.channels = absl::GetFlag(FLAGS_channels);
  options.rounds = quick ? kQuickRounds : absl::GetFlag(FLAGS_rounds);
  options.seconds = quick ? kQuickSeconds : absl::GetFlag(FLAGS_seconds);
  options.tls = absl::GetFlag(FLAGS_tls);
  if (options.channels < 0) return Refuse(absl::StrCat("--channels is ", options.channels, "; at least 0"));
  if (options.rounds < 1) return Refuse(absl::StrCat("--rounds is ", options.rounds, "; at least 1"));
  if (!(options.seconds > 0)) return Refuse(absl::StrCat("--seconds is ", options.seconds, "; above 0"));

  std::vector<Measurement> measurements;
  for (const LoadCase& load_case : *cases) {
    measurements.push_back({load_case, options});
    measurements.back().load_case.jobs = jobs;
  }
  if (absl::GetFlag(FLAGS_full)) {
    for (const Measurement& measurement : FullMeasurements(options)) measurements.push_back(measurement);
  }
  return Run(measurements);
}

}  // namespace
}  // namespace evenkeel::load

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures evenkeeld under load, beside a bare gRPC server; see load_benchmark.cc.");
  absl::ParseCommandLine(argc, argv);
  return evenkeel::load::Main();
}
