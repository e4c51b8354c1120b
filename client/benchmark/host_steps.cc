#include "client/benchmark/host_steps.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "client/benchmark/stopwatch.h"
#include "client/reduce/gloo_reducer.h"
#include "client/reduce/store.h"
#include "evenkeel/worker.h"
#include "kernels/balance/balance_config.h"
#include "kernels/balance/update.h"

namespace evenkeel::step_benchmark {
namespace {

// The loop over layers, with a reducer of its own.
class LayerLoop {
 public:
  LayerLoop(const StepCase& step_case, int rank, int ranks, const std::string& folder)
      : tokens_(step_case.tokens), layers_(step_case.layers, balance::InitialState(step_case.experts)) {
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
      balance::Update(config_, {step, step}, sums_, tokens_ * reducer_->size(), &layer);
    }
  }

 private:
  const balance::BalanceConfig config_ = balance::FromPreset("evenkeel").value();
  const uint64_t tokens_;
  std::vector<balance::LayerState> layers_;
  std::vector<uint64_t> sums_;
  std::unique_ptr<client::Reducer> reducer_;
};

void Run(const StepCase& step_case, int rank, int ranks, const std::string& folder, HostSamples* samples) {
  WorkerOptions options = OptionsOf(step_case);
  options.rank = rank;
  options.world_size = ranks;
  options.group.name = "world";
  options.group.store = absl::StrCat("file://", folder, "/worker");
  auto joined = Worker::Join(options);
  EVENKEEL_CHECK(joined.ok());
  Worker& worker = **joined;
  LayerLoop loop(step_case, rank, ranks, folder);
  const std::vector<uint64_t> counts = CountsOf(step_case);
  EVENKEEL_CHECK(worker.BeginStep(1).ok());
  for (uint64_t step = 1; step <= step_case.warm_up + step_case.steps; ++step) {
    for (int layer = 0; layer < step_case.layers; ++layer) {
      EVENKEEL_CHECK(worker.AddCounts(layer, counts.data(), step_case.tokens).ok());
    }
    const double commit = Microseconds([&] { EVENKEEL_CHECK(worker.Commit(step).ok()); });
    const double begin_step = Microseconds([&] { EVENKEEL_CHECK(worker.BeginStep(step + 1).ok()); });
    const double layer_loop = Microseconds([&] { loop.Step(step, counts); });
    if (step <= step_case.warm_up) continue;
    samples->commit.push_back(commit);
    samples->begin_step.push_back(begin_step);
    samples->loop.push_back(layer_loop);
  }
  EVENKEEL_CHECK(worker.Leave().ok());
}

}  // namespace

HostSamples MeasureHostSteps(const StepCase& step_case, int ranks) {
  std::string folder = absl::StrCat(std::filesystem::temp_directory_path().string(), "/step_benchmark-XXXXXX");
  EVENKEEL_CHECK(mkdtemp(folder.data()) != nullptr);
  for (const char* name : {"/worker", "/loop"}) std::filesystem::create_directory(folder + name);

  std::vector<HostSamples> samples(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { Run(step_case, rank, ranks, folder, &samples[rank]); });
  }
  for (std::thread& thread : threads) thread.join();
  std::filesystem::remove_all(folder);
  return std::move(samples[0]);
}

}  // namespace evenkeel::step_benchmark
