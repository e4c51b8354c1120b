// The soak; kUsage says what it is.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "tests/scratch_folder.h"
#include "tests/soak/soak.h"

ABSL_FLAG(int64_t, steps, 100'000, "steps, at least 100");
ABSL_FLAG(int, workers, 64, "workers, 8 to 1024");
ABSL_FLAG(uint64_t, seed, 1, "of the counts and the faults");
ABSL_FLAG(bool, record, false, "the coordinator records its commits");
ABSL_FLAG(bool, json, false, "one JSON object");
ABSL_FLAG(std::string, state_dir, "", "folder whose disk is written to; default: the temporary directory");

namespace evenkeel::soak {
namespace {

constexpr char kUsage[] =
    R"(A long run: a real evenkeeld, and 64 workers that take 100,000 steps while all that can
break is broken, the coordinator above all. Every answer is held against a reference, bit for bit; memory and open files
are to stay flat.

  bazel run //tests/soak                                 100,000 steps of 64 workers
  ... -- --steps 5000 --workers 16                       for a look
  ... -- --seed 7                                        other counts, other faults at other times
  ... -- --record                                        with the record of every commit
  ... -- --json > soak.json                              the figures, named as the lines are
  ... -- --state_dir DIR                                 the disk to write to; default: the temporary directory

In the first and the last fifth of the steps the coordinator is ended about every 70 steps, by SIGKILL or SIGTERM; in
the middle it lives once. All along connections are cut, channels closed, pushes doubled and repeated, processes
replaced, workers leave, hang and come back, the rate changes, and the job goes back some steps. How far it is, is
said on stderr.

Exit code 1: the job is not what the reference says, a step was lost, or the medians of the second and the last tenth
show that something grows: memory or the database by more than a tenth and 4 MiB, open files at all.)";

int Refuse(const std::string& why) {
  std::fprintf(stderr, "soak: %s\n", why.c_str());
  return 2;
}

int Main() {
  SoakOptions options;
  options.steps = absl::GetFlag(FLAGS_steps);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.seed = absl::GetFlag(FLAGS_seed);
  options.record = absl::GetFlag(FLAGS_record);
  options.progress = [](const std::string& line) { std::fprintf(stderr, "soak: %s\n", line.c_str()); };
  if (options.steps < 100) return Refuse(absl::StrCat("--steps is ", options.steps, "; at least 100"));
  if (options.workers < 8 || options.workers > 1024) {
    return Refuse(absl::StrCat("--workers is ", options.workers, "; 8 to 1024 are allowed"));
  }
  const tests::ScratchFolder scratch(absl::GetFlag(FLAGS_state_dir));
  const absl::StatusOr<SoakReport> report = RunSoak(options);
  if (!report.ok()) {
    std::fprintf(stderr, "soak: %s\n", std::string(report.status().message()).c_str());
    return 1;
  }
  const bool json = absl::GetFlag(FLAGS_json);
  std::fputs(json ? absl::StrCat("{", report->figures.Json(), "}\n").c_str() : report->figures.Text().c_str(), stdout);
  for (const std::string& growth : report->growth) std::fprintf(stderr, "soak: %s\n", growth.c_str());
  return report->growth.empty() ? 0 : 1;
}

}  // namespace
}  // namespace evenkeel::soak

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(evenkeel::soak::kUsage);
  absl::ParseCommandLine(argc, argv);
  return evenkeel::soak::Main();
}
