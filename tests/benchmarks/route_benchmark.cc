// The routers of the CPU, row by row: nanoseconds, memory bandwidth, and eager PyTorch beside them.
//
//   bazel run //kernels/routing:route_benchmark -- --benchmark_filter='(sigmoid_groups/E:256|softmax/E:128)/.*T:16384'
//   ... --model Qwen3-30B-A3B             a real model's router: see route_cases.cc; all; or the path of a config.json
//   ... --peer python3                    a Python with PyTorch, which does the same work turn by turn with ours
//   ... --threads 1                       threads that share the rows (default: one for every core)
//   ... --router reference                the plain scalar router (default: cpu)
//   ... --benchmark_format=json           everything below for programs; --benchmark_out=FILE beside the table
//
// Benchmarks are named ROUTER/E:experts/K:top_k/DTYPE/T:rows, DTYPE being that of the logits:
//   sigmoid_groups  DeepSeek-V3: sigmoid + bias, 4 groups of 8 by their two best, normalised, scaled
//   sigmoid         the same without groups: GLM-4.5, Kimi-K2
//   softmax         Qwen3, Mixtral: the best logits + bias, weighted by their softmax
//
// A call routes T rows of synthetic logits into ids, weights (float32) and counts. Each thread has rows of its own, at
// least 16, and counts of its own. The rows of following calls are others, as long as they fit into 4,096 rows.
// A case takes --rounds turns of a few milliseconds, or one call if that is longer; figures are the medians of turns.
//   ns_per_row              wall time, all threads at work; best_ns_per_row is that of the best turn
//   rows_per_second         its inverse
//   bytes_per_row           of logits read, ids and weights written
//   bandwidth_fraction      bytes_per_row / ns_per_row, over what the same threads read from memory in a plain loop in
//                           the same run. It may be above 1 where the label says "in cache"
//   eager_ns_per_row        as many threads of eager PyTorch, as model code is: tests/peers/eager_router.py
//   eager_count_ns_per_row  counting its ids, apart
//   times_eager             (eager_ns_per_row + eager_count_ns_per_row) / ns_per_row
//   best_times_eager        the same of the best turn of each
//
// Measure on a machine with nothing else to do: other work takes more from PyTorch's threads, which wait for each other
// in every operator, than from ours. The load average is in the output.
//
// The label is the path that the router took. Logits are noise without skew on both sides; ours adds a bias in every
// case, theirs where the model code does.

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_router.h"
#include "kernels/routing/route.h"
#include "tests/benchmarks/eager_peer.h"
#include "tests/benchmarks/median.h"
#include "tests/benchmarks/memory_bandwidth.h"
#include "tests/benchmarks/route_cases.h"
#include "tests/benchmarks/route_workload.h"
#include "tests/benchmarks/thread_team.h"

ABSL_FLAG(int, threads, 0, "threads that share the rows; 0: one for every core");
ABSL_FLAG(std::string, router, "cpu", "cpu or reference");
ABSL_FLAG(std::string, model, "", "routers of models: a name of route_cases.cc, all, or the path of a config.json");
ABSL_FLAG(int, rounds, 11, "turns of each case, of which the median is told");
ABSL_FLAG(std::string, peer, "", "a Python with PyTorch to measure beside ours; empty: none");
ABSL_FLAG(std::string, peer_script, "tests/peers/eager_router.py", "what it runs");

namespace evenkeel::benchmarks {
namespace {

using routing::DType;
using routing::RouteSpec;

constexpr double kTurnSeconds = 0.005;
// After a turn of the peer, whose threads go on spinning for some milliseconds, and for the caches to be ours again.
constexpr double kSettleSeconds = 0.015;

// What all cases of a run share.
struct Setting {
  Router router = nullptr;
  ThreadTeam* team = nullptr;
  MemoryBandwidth bandwidth;
  EagerPeer* peer = nullptr;  // null: none
};

// The turns of the peer in one case.
class PeerTurns {
 public:
  PeerTurns(EagerPeer* peer, const RouteSpec& spec, DType dtype, int64_t rows) : peer_(peer) {
    if (peer_ != nullptr) Check(peer_->Prepare(spec, dtype, rows));
  }

  bool active() const { return peer_ != nullptr; }

  void Take() {
    if (!active()) return;
    const absl::StatusOr<EagerPeer::Times> times = peer_->Turn(kTurnSeconds);
    Check(times.status());
    if (!times.ok()) return;
    route_.push_back(times->route_seconds);
    count_.push_back(times->count_seconds);
    best_ = std::min(best_, times->route_seconds + times->count_seconds);
  }

  // Beside the seconds of our calls, of `rows` rows each.
  void Report(double median_seconds, double best_seconds, int64_t rows, benchmark::State* state) const {
    if (!active()) return;
    const double route = Median(route_), count = Median(count_);
    state->counters["eager_ns_per_row"] = route / rows * 1e9;
    state->counters["eager_count_ns_per_row"] = count / rows * 1e9;
    state->counters["times_eager"] = (route + count) / median_seconds;
    state->counters["best_times_eager"] = best_ / best_seconds;
  }

  // Why there are no figures of the peer; empty if there are, or if none was asked for.
  const std::string& excuse() const { return excuse_; }

 private:
  void Check(const absl::Status& status) {
    if (status.ok()) return;
    peer_ = nullptr;
    excuse_ = absl::StrCat(", no eager: ", status.message());
  }

  EagerPeer* peer_;
  std::vector<double> route_, count_;
  double best_ = std::numeric_limits<double>::infinity();  // of both together
  std::string excuse_;
};

void Measure(benchmark::State& state, const Setting& setting, const RouteSpec& spec, DType dtype, int64_t rows) {
  RouteWorkload workload(setting.router, setting.team, spec, dtype, rows);
  PeerTurns peer(setting.peer, spec, dtype, rows);
  std::vector<double> turns;
  for (auto _ : state) {
    peer.Take();
    workload.Turn(kSettleSeconds);
    turns.push_back(workload.Turn(kTurnSeconds));
    state.SetIterationTime(turns.back());
  }
  if (!workload.RoutedEverything()) return state.SkipWithError("not every slot was counted");
  const double seconds = Median(turns);
  const double best = *std::min_element(turns.begin(), turns.end());
  const double bytes_per_second = workload.bytes_per_row() * rows / seconds;
  state.counters["ns_per_row"] = seconds / rows * 1e9;
  state.counters["best_ns_per_row"] = best / rows * 1e9;
  state.counters["rows_per_second"] = rows / seconds;
  state.counters["bytes_per_row"] = workload.bytes_per_row();
  state.counters["bandwidth_fraction"] = bytes_per_second / setting.bandwidth.read;
  peer.Report(seconds, best, rows, &state);
  const bool reference = setting.router == routing::RouteReference;
  state.SetLabel(absl::StrCat(reference ? "reference" : routing::CpuRoutePath(spec),
                              workload.bytes() <= LastCacheBytes() ? ", in cache" : ", in memory", peer.excuse()));
}

void Register(const Setting& setting, const std::vector<RouteCase>& cases) {
  for (const RouteCase& route_case : cases) {
    const RouteSpec& spec = route_case.spec;
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int64_t rows : {1, 64, 1024, 4096, 16384, 131072}) {
        const std::string name = absl::StrCat(route_case.name, "/E:", spec.num_experts, "/K:", spec.top_k,
                                              dtype == DType::kBF16 ? "/bf16" : "/f32", "/T:", rows);
        benchmark::RegisterBenchmark(
            name.c_str(), [=, &setting](benchmark::State& state) { Measure(state, setting, spec, dtype, rows); })
            ->UseManualTime()
            ->Iterations(absl::GetFlag(FLAGS_rounds))
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

// Starts the peer that was asked for, if it can be.
std::unique_ptr<EagerPeer> StartPeer(int threads) {
  const std::string python = absl::GetFlag(FLAGS_peer);
  if (python.empty()) {
    benchmark::AddCustomContext("peer", "skipped: --peer names no Python");
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<EagerPeer>> peer = EagerPeer::Start(python, absl::GetFlag(FLAGS_peer_script), threads);
  benchmark::AddCustomContext("peer", peer.ok() ? (*peer)->name() : absl::StrCat("skipped: ", peer.status().message()));
  return peer.ok() ? *std::move(peer) : nullptr;
}

int Refuse(absl::string_view message) {
  std::cerr << "route_benchmark: " << message << "\n";
  return 2;
}

int Main() {
  Setting setting;
  const std::string router = absl::GetFlag(FLAGS_router);
  if (router == "cpu") setting.router = routing::RouteCpu;
  if (router == "reference") setting.router = routing::RouteReference;
  if (setting.router == nullptr) {
    return Refuse(absl::StrCat("--router is \"", router, "\"; cpu and reference are known"));
  }
  int threads = absl::GetFlag(FLAGS_threads);
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  if (threads < 1 || threads > 1024) return Refuse(absl::StrCat("--threads is ", threads, "; it must be 0 to 1024"));
  const int rounds = absl::GetFlag(FLAGS_rounds);
  if (rounds < 1) return Refuse(absl::StrCat("--rounds is ", rounds, "; it must be at least 1"));
  absl::StatusOr<std::vector<RouteCase>> cases = ShapeCases();
  if (!absl::GetFlag(FLAGS_model).empty()) cases = ModelCases(absl::GetFlag(FLAGS_model));
  if (!cases.ok()) return Refuse(cases.status().message());

  // Before the team, whose threads keep to their cores, which a child would inherit.
  const std::unique_ptr<EagerPeer> peer = StartPeer(threads);
  setting.peer = peer.get();
  ThreadTeam team(threads);
  setting.team = &team;
  setting.bandwidth = MeasureMemoryBandwidth(&team);
  benchmark::AddCustomContext("threads", absl::StrCat(threads));
  benchmark::AddCustomContext("memory_bandwidth",
                              absl::StrFormat("read %.1f GB/s, copy %.1f GB/s (read + written)",
                                              setting.bandwidth.read * 1e-9, setting.bandwidth.copy * 1e-9));
  Register(setting, *cases);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace evenkeel::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "The routers of the CPU, beside eager PyTorch. See route_benchmark.cc, and "
      "--benchmark_help for the flags of Google Benchmark.");
  // A column for each figure, unless the caller says otherwise.
  std::string tabular = "--benchmark_counters_tabular=true";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, tabular.data());
  argc = static_cast<int>(arguments.size());
  benchmark::Initialize(&argc, arguments.data());
  absl::ParseCommandLine(argc, arguments.data());
  return evenkeel::benchmarks::Main();
}
