#include "tests/gpu_check/program.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/gpu_check/json.h"
#include "tests/gpu_check/machine.h"
#include "tests/gpu_check/quick.h"
#include "tests/gpu_check/test_report.h"

namespace evenkeel::gpu_check {
namespace {

enum ExitCode { kRight = 0, kFailed = 1, kWrongUsage = 2, kNoGpu = 77 };

ExitCode Complain(ExitCode code, const std::string& what) {
  absl::FPrintF(stderr, "gpu_check: %s\n", what);
  return code;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

// Runs what GoogleTest's flags have chosen, and adds what became of it.
ExitCode RunTests(Fields* results) {
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  auto* report = new TestReport;  // the listeners own it
  listeners.Append(report);
  const int failed = RUN_ALL_TESTS();
  results->emplace_back("tests", report->ToJson());
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    return Complain(kWrongUsage, "no test matches --gtest_filter");
  }
  return failed == 0 ? kRight : kFailed;
}

ExitCode RunBenchmark(const Benchmark& measure, const Flags& flags, Fields* results) {
  std::vector<std::string> records;
  const absl::Time start = absl::Now();
  const absl::Status status = measure(flags, &records);
  Fields benchmark = {{"records", JsonArray(records)},
                      {"seconds", absl::StrFormat("%.1f", absl::ToDoubleSeconds(absl::Now() - start))}};
  if (!status.ok()) benchmark.emplace_back("error", JsonString(status.message()));
  results->emplace_back("benchmark", JsonObject(benchmark));
  return status.ok() ? kRight : Complain(kFailed, absl::StrCat("benchmark: ", status.message()));
}

// Stdout is for the results: while this lives, what anybody prints there goes to stderr.
class QuietStdout {
 public:
  QuietStdout() : stdout_(dup(STDOUT_FILENO)) { Redirect(STDERR_FILENO); }
  ~QuietStdout() {
    Redirect(stdout_);
    close(stdout_);
  }
  QuietStdout(const QuietStdout&) = delete;
  QuietStdout& operator=(const QuietStdout&) = delete;

 private:
  static void Redirect(int to) {
    std::fflush(stdout);
    std::cout.flush();
    dup2(to, STDOUT_FILENO);
  }

  const int stdout_;
};

ExitCode WriteResults(const std::string& json, const std::string& file) {
  if (file.empty()) {
    std::cout << json << std::endl;
    return std::cout.good() ? kRight : Complain(kWrongUsage, "cannot write to stdout");
  }
  std::ofstream out(file);
  out << json << "\n";
  out.close();
  return out.good() ? kRight : Complain(kWrongUsage, absl::StrCat("cannot write ", file));
}

ExitCode Run(const Flags& flags, const Benchmark& benchmark) {
  const absl::Time start = absl::Now();
  const absl::StatusOr<Machine> machine = DescribeMachine();
  if (absl::IsUnimplemented(machine.status())) return Complain(kNoGpu, std::string(machine.status().message()));
  if (absl::IsUnavailable(machine.status())) {
    return Complain(kNoGpu, absl::StrCat("there is no GPU to be used here: ", machine.status().message()));
  }
  if (!machine.ok()) return Complain(kFailed, std::string(machine.status().message()));
  absl::FPrintF(stderr, "%s, compute capability %s\n", machine->device, machine->compute_capability);

  Fields results = {{"program", JsonString("gpu_check")},
                    {"time", JsonString(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", start, absl::UTCTimeZone()))},
                    {"quick", flags.quick ? "true" : "false"},
                    {"machine", ToJson(*machine)}};
  ExitCode code = kRight;
  {
    const QuietStdout quiet;
    if (flags.tests) code = RunTests(&results);
    if (flags.benchmark && code == kRight) code = RunBenchmark(benchmark, flags, &results);
  }
  results.emplace_back("seconds", absl::StrFormat("%.1f", absl::ToDoubleSeconds(absl::Now() - start)));
  results.emplace_back("right", code == kRight ? "true" : "false");
  const ExitCode written = WriteResults(JsonObject(results), flags.json);
  return code == kRight ? written : code;
}

}  // namespace

int RunProgram(int argc, char** argv, const Benchmark& benchmark) {
  std::vector<std::string> ours;
  bool lists_tests = false;
  for (int i = 1; i < argc; ++i) {
    lists_tests |= absl::StartsWith(argv[i], "--gtest_list_tests");
    if (!absl::StartsWith(argv[i], "--gtest_")) ours.push_back(argv[i]);
  }
  const absl::StatusOr<Flags> flags = ParseFlags(ours);
  if (!flags.ok()) return Complain(kWrongUsage, std::string(flags.status().message()));
  if (flags->help) {
    std::cout << kHelp;
    return kRight;
  }
  if (flags->quick) SetQuick();
  testing::InitGoogleTest(&argc, argv);
  return lists_tests ? RUN_ALL_TESTS() : Run(*flags, benchmark);
}

}  // namespace evenkeel::gpu_check
