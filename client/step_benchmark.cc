// What a step costs the training thread of a worker, on the CPU: Commit, and the wait of the BeginStep that comes at
// once after it, for 61 layers of 256 experts in a group of ranks that commit by themselves; against the loop that
// trainers have, one all-reduce a layer and the rule after each, turn by turn over the same reducer and the same ranks.
//
//   bazel run //client:step_benchmark -- [RANKS]      ranks of this machine, a thread each (default 2)
//
// A trainer does its optimizer step between the two calls: what BeginStep waits here is then over.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/store.h"
#include "evenkeel/worker.h"
#include "kernels/balance/balance_config.h"
#include "kernels/balance/update.h"

namespace evenkeel {
namespace {

constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr int kTopK = 8;
constexpr uint64_t kTokens = 4096;
constexpr uint64_t kRounds = 300;
constexpr uint64_t kWarmUp = 20;

template <typename Body>
double Microseconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// Counts of one rank at one layer, uneven: 2 of 3 assignments go to the first half of the experts.
std::vector<uint64_t> Counts() {
  std::vector<uint64_t> counts(kExperts, kTokens * kTopK * 2 / 3 / (kExperts / 2));
  const uint64_t rest = kTokens * kTopK - counts[0] * (kExperts / 2);
  for (int e = kExperts / 2; e < kExperts; ++e) counts[e] = rest / (kExperts / 2);
  counts.back() += rest % (kExperts / 2);
  return counts;
}

struct Samples {
  std::vector<double> commit;
  std::vector<double> begin_step;
  std::vector<double> loop;
};

WorkerOptions OptionsOf(int rank, int ranks, const std::string& folder) {
  WorkerOptions options;
  options.coordinator = "";
  options.job = "step-benchmark";
  options.rank = rank;
  options.world_size = ranks;
  options.group.name = "world";
  options.group.store = absl::StrCat("file://", folder, "/worker");
  options.balance = R"({"preset": "evenkeel"})";
  for (int layer = 0; layer < kLayers; ++layer) {
    options.layers.push_back({absl::StrCat("layers.", layer, ".gate"), kExperts, kTopK, ""});
  }
  return options;
}

// The loop over layers, with a reducer of its own.
class LayerLoop {
 public:
  LayerLoop(int rank, int ranks, const std::string& folder) : layers_(kLayers, balance::InitialState(kExperts)) {
    auto meeting = client::MakeRendezvous(absl::StrCat("file://", folder, "/loop"), {"loop", "world", rank, ranks},
                                          static_cast<uint64_t>(rank) + 1);
    EVENKEEL_CHECK(meeting.ok());
    client::GlooOptions options;
    options.rank = rank;
    options.size = ranks;
    auto reducer = client::MakeGlooReducer(options, meeting->get());
    EVENKEEL_CHECK(reducer.ok());
    reducer_ = *std::move(reducer);
  }

  void Step(uint64_t step, const std::vector<uint64_t>& counts) {
    for (balance::LayerState& layer : layers_) {
      sums_ = counts;
      EVENKEEL_CHECK(reducer_->Sum(absl::MakeSpan(sums_)).ok());
      balance::Update(config_, {step, step}, sums_, kTokens * reducer_->size(), &layer);
    }
  }

 private:
  const balance::BalanceConfig config_ = balance::FromPreset("evenkeel").value();
  std::vector<balance::LayerState> layers_;
  std::vector<uint64_t> sums_;
  std::unique_ptr<client::Reducer> reducer_;
};

void Run(int rank, int ranks, const std::string& folder, Samples* samples) {
  auto joined = Worker::Join(OptionsOf(rank, ranks, folder));
  EVENKEEL_CHECK(joined.ok());
  Worker& worker = **joined;
  LayerLoop loop(rank, ranks, folder);
  const std::vector<uint64_t> counts = Counts();
  EVENKEEL_CHECK(worker.BeginStep(1).ok());
  for (uint64_t step = 1; step <= kWarmUp + kRounds; ++step) {
    for (int layer = 0; layer < kLayers; ++layer) {
      EVENKEEL_CHECK(worker.AddCounts(layer, counts.data(), kTokens).ok());
    }
    const double commit = Microseconds([&] { EVENKEEL_CHECK(worker.Commit(step).ok()); });
    const double begin_step = Microseconds([&] { EVENKEEL_CHECK(worker.BeginStep(step + 1).ok()); });
    const double layer_loop = Microseconds([&] { loop.Step(step, counts); });
    if (step <= kWarmUp) continue;
    samples->commit.push_back(commit);
    samples->begin_step.push_back(begin_step);
    samples->loop.push_back(layer_loop);
  }
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void Print(const char* name, const std::vector<double>& values) {
  std::printf("%-34s %9.1f %9.1f\n", name, Quantile(values, 0.5), Quantile(values, 0.99));
}

void Main(int ranks) {
  std::string folder = absl::StrCat(std::filesystem::temp_directory_path().string(), "/step_benchmark-XXXXXX");
  EVENKEEL_CHECK(mkdtemp(folder.data()) != nullptr);
  for (const char* name : {"/worker", "/loop"}) std::filesystem::create_directory(folder + name);

  std::vector<Samples> samples(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { Run(rank, ranks, folder, &samples[rank]); });
  }
  for (std::thread& thread : threads) thread.join();
  std::filesystem::remove_all(folder);

  const Samples& first = samples[0];
  std::printf("%d layers x %d experts, %d ranks on this machine; microseconds of rank 0's training thread\n", kLayers,
              kExperts, ranks);
  std::printf("%-34s %9s %9s\n", "", "p50", "p99");
  Print("Commit", first.commit);
  Print("BeginStep, at once after it", first.begin_step);
  Print("one all-reduce and rule per layer", first.loop);
  const double ours = Quantile(first.commit, 0.5) + Quantile(first.begin_step, 0.5);
  std::printf("the loop takes %.1f times Commit, %.1f times Commit and BeginStep\n",
              Quantile(first.loop, 0.5) / Quantile(first.commit, 0.5), Quantile(first.loop, 0.5) / ours);
}

}  // namespace
}  // namespace evenkeel

int main(int argc, char** argv) {
  const int ranks = argc > 1 ? std::atoi(argv[1]) : 2;
  if (argc > 2 || ranks < 1 || ranks > 64) {
    std::fprintf(stderr, "usage: step_benchmark [RANKS], 1 to 64\n");
    return 2;
  }
  evenkeel::Main(ranks);
  return 0;
}
