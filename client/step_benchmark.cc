// What a step costs the training thread of a worker, and, where there is a GPU, the training stream, at 61 layers of
// 256 experts.
//
//   bazel run //client:step_benchmark -- [RANKS] [--json]
//
// On the CPU: RANKS ranks of this machine (default 2), a thread each, in a group that commits by itself. Commit, and
// the wait of the BeginStep that comes at once after it; against the loop that trainers have, one all-reduce a layer
// and the rule after each, over the same reducer and the same ranks. A trainer does its optimizer step between the two
// calls: what BeginStep waits here is then over.
//
// On GPU 0: one rank that moves the bias on the device. What BeginStep and Commit take of the training stream, and of
// the thread, against one all-reduce and one host read a layer. One rank's all-reduce by NCCL, where a libnccl is
// found; else a copy within the device is in its place. --config=cuda_release builds for other GPUs than Hopper.
//
// --json: one object, whose fields are named as the lines are.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/benchmark/device_clock.h"
#include "client/benchmark/device_steps.h"
#include "client/benchmark/host_steps.h"
#include "client/benchmark/report.h"
#include "client/benchmark/step_case.h"
#include "client/device/cuda_runtime.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "client/worker/worker.h"

namespace evenkeel::step_benchmark {
namespace {

constexpr int kDevice = 0;
constexpr size_t kWorkBytes = size_t{512} << 20;
// Of the training stream, in microseconds a step.
constexpr double kBar = 20;

Report ReportOfHost(const StepCase& step_case, int ranks) {
  const HostSamples samples = MeasureHostSteps(step_case, ranks);
  Report report("host", absl::StrFormat("%d layers x %d experts, %d ranks on this machine; microseconds of rank 0's "
                                        "training thread",
                                        step_case.layers, step_case.experts, ranks));
  report.AddFigure("ranks", ranks);
  report.AddSamples("commit", "Commit", samples.commit);
  report.AddSamples("begin_step", "BeginStep, at once after it", samples.begin_step);
  report.AddSamples("loop", "one all-reduce and rule per layer", samples.loop);
  const double loop = Median(samples.loop);
  const double commit = Median(samples.commit);
  const double both = commit + Median(samples.begin_step);
  report.AddFigure("loop_over_commit", loop / commit);
  report.AddFigure(
      "loop_over_step", loop / both,
      absl::StrFormat("the loop takes %.1f times Commit, %.1f times Commit and BeginStep", loop / commit, loop / both));
  return report;
}

// One rank's all-reduce, and what it is.
struct Reduction {
  std::unique_ptr<const client::NcclLibrary> library;
  std::unique_ptr<client::DeviceReducer> reducer;  // null: a copy
  std::string name;
};

absl::StatusOr<Reduction> MakeReduction(client::DeviceRuntime* runtime) {
  Reduction reduction;
  auto library = client::OpenNccl();
  if (!library.ok()) {
    reduction.name = absl::StrCat("a copy within the device, for want of NCCL: ", library.status().message());
    return reduction;
  }
  reduction.library = *std::move(library);
  reduction.name = absl::StrCat("NCCL ", client::NcclVersionName(reduction.library->version), " with one rank");
  EVENKEEL_ASSIGN_OR_RETURN(reduction.reducer, client::MakeNcclReducer(client::NcclOptions(), *reduction.library,
                                                                       runtime, /*rendezvous=*/nullptr));
  return reduction;
}

void Tell(const DeviceSamples& samples, Report* report) {
  report->AddSamples("begin_step", "BeginStep, of the training stream", samples.begin_step);
  report->AddSamples("commit", "Commit, of the training stream", samples.commit);
  report->AddSamples("marks", "nothing but the marks that these are between", samples.marks);
  report->AddSamples("loop", "one all-reduce and host read per layer", samples.loop);
  report->AddSamples("host_begin_step", "BeginStep, of the training thread", samples.host_begin_step);
  report->AddSamples("host_commit", "Commit, of the training thread", samples.host_commit);
  report->AddSamples("host_loop", "the loop, of the training thread", samples.host_loop);
  const double step = samples.Step();
  report->AddFigure("step", step,
                    absl::StrFormat("a step takes %.1f of the training stream; %.0f are the bar", step, kBar));
  report->AddFigure("bar", kBar);
  const double host = Median(samples.host_begin_step) + Median(samples.host_commit);
  report->AddFigure("loop_over_step", samples.Loop() / step);
  report->AddFigure("host_loop_over_step", Median(samples.host_loop) / host,
                    absl::StrFormat("the loop takes %.1f times that, and %.1f times the training thread's time",
                                    samples.Loop() / step, Median(samples.host_loop) / host));
}

absl::StatusOr<Report> ReportOfDevice(const StepCase& step_case) {
  EVENKEEL_ASSIGN_OR_RETURN(const auto runtime, client::MakeCudaRuntime(kDevice));
  EVENKEEL_ASSIGN_OR_RETURN(const auto clock, MakeCudaClock(kDevice));
  EVENKEEL_ASSIGN_OR_RETURN(const Reduction reduction, MakeReduction(runtime.get()));
  WorkerOptions options = OptionsOf(step_case);
  options.device = kDevice;
  EVENKEEL_ASSIGN_OR_RETURN(const auto worker, client::Worker::Join(options));
  EVENKEEL_ASSIGN_OR_RETURN(
      const DeviceSamples samples,
      MeasureDeviceSteps(step_case, kWorkBytes, worker.get(), runtime.get(), reduction.reducer.get(), clock.get()));
  Report report("device", absl::StrFormat("%d layers x %d experts, one rank on %s; microseconds", step_case.layers,
                                          step_case.experts, runtime->info().name));
  report.AddWords("name", runtime->info().name);
  report.AddWords("all_reduce", reduction.name, absl::StrCat("the all-reduce is ", reduction.name));
  Tell(samples, &report);
  return report;
}

// Without a GPU it says so.
absl::StatusOr<Report> ReportOfDeviceIfAny(const StepCase& step_case) {
  const absl::Status there = client::MakeCudaRuntime(kDevice).status();
  if (there.ok()) return ReportOfDevice(step_case);
  Report report("device", "nothing measured on a GPU");
  report.AddWords("skipped", std::string(there.message()), std::string(there.message()));
  return report;
}

int Main(int ranks, bool json) {
  const StepCase step_case;
  const Report host = ReportOfHost(step_case, ranks);
  const absl::StatusOr<Report> device = ReportOfDeviceIfAny(step_case);
  if (json) {
    std::printf("{\"layers\": %d, \"experts\": %d, %s", step_case.layers, step_case.experts, host.Json().c_str());
    std::printf("%s}\n", device.ok() ? absl::StrCat(", ", device->Json()).c_str() : "");
  } else {
    std::fputs(host.Text().c_str(), stdout);
    if (device.ok()) std::printf("\n%s", device->Text().c_str());
  }
  if (device.ok()) return 0;
  std::fprintf(stderr, "step_benchmark: %s\n", std::string(device.status().message()).c_str());
  return 1;
}

}  // namespace
}  // namespace evenkeel::step_benchmark

int main(int argc, char** argv) {
  int ranks = 2;
  bool json = false;
  bool right = true;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else {
      ranks = std::atoi(argv[i]);
      right = right && ranks >= 1 && ranks <= 64;
    }
  }
  if (right) return evenkeel::step_benchmark::Main(ranks, json);
  std::fprintf(stderr, "usage: step_benchmark [RANKS] [--json], RANKS being 1 to 64\n");
  return 2;
}
