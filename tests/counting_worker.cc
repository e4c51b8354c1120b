// A worker whose counts are a pure function of a seed (counted_tokens.h), or, with --drift, those of a router that
// drifts. By the public headers alone.
//
// Before each Commit, and after Leave, it prints a line; StepLine of counting_bench.h reads it:
//
//   STEP EPOCH VERSION PROVISIONAL OK HASH STALENESS UNDELIVERED LOST MAX_VIOLATION
//
// STEP was routed with {EPOCH, VERSION}, moved on by the worker itself where PROVISIONAL is 1; the rest is what the
// report says of that version, MAX_VIOLATION at the first layer. After Leave, STEP is the one that would come next.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "evenkeel/worker.h"
#include "synthetic/synthetic_load.h"
#include "tests/counted_tokens.h"

namespace evenkeel::tests {
namespace {

struct Run {
  WorkerOptions options;
  uint64_t steps = 0;  // the last one
  uint64_t seed = 7;
  // Counts for so many ranks, from its own on: 1, or all of them where one process stands for the world.
  int counted_ranks = 1;
  // Goes no further than to the step that the newest line of stdin names, and, when that ends, to the last: "before" it
  // begins a step, or "within" it.
  std::string steered;
  bool drift = false;
  // Replays steps now and then.
  bool replays = false;
  // Beside its steps does what is not to be counted: dry runs, evaluations, recomputed micro-batches.
  bool distracted = false;
  // After that step rank 0 saves the job's state, into that file. 0: never.
  uint64_t save_after = 0;
  std::string save_to;
};

constexpr int kDriftExperts = 16;
constexpr int kDriftTokens = 1024;

OnLoss OnLossOf(const std::string& word) {
  if (word == "wait") return OnLoss::kWait;
  if (word == "local") return OnLoss::kLocal;
  if (word == "fail") return OnLoss::kFail;
  return OnLoss::kHold;
}

std::vector<int> Numbers(const std::string& list) {
  std::vector<int> numbers;
  std::istringstream text(list);
  for (std::string number; std::getline(text, number, ',');) numbers.push_back(std::stoi(number));
  return numbers;
}

// The first expert of each layer, at each stream, with that bias.
void BeginWith(float bias, std::vector<LayerOptions>* layers) {
  for (LayerOptions& layer : *layers) {
    layer.initial_bias.assign(layer.streams * layer.num_experts, 0);
    for (int stream = 0; stream < layer.streams; ++stream) layer.initial_bias[stream * layer.num_experts] = bias;
  }
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Every flag is --name=value. False for one that is unknown.
bool ReadFlag(const std::string& name, const std::string& value, Run* run) {
  using std::chrono::milliseconds;
  WorkerOptions& options = run->options;
  const std::map<std::string, std::function<void()>> flags = {
      {"coordinator", [&] { options.coordinator = value; }},
      {"job", [&] { options.job = value; }},
      {"rank", [&] { options.rank = std::stoi(value); }},
      {"world_size", [&] { options.world_size = std::stoi(value); }},
      {"group", [&] { options.group.name = value; }},
      {"ep_size", [&] { options.group.expert_parallel_size = std::stoi(value); }},
      {"group_ranks", [&] { options.group.ranks = Numbers(value); }},
      {"group_index", [&] { options.group.index = std::stoi(value); }},
      {"group_count", [&] { options.group.count = std::stoi(value); }},
      {"group_timeout_ms", [&] { options.group.timeout = milliseconds(std::stoi(value)); }},
      {"store", [&] { options.group.store = value; }},
      {"balance", [&] { options.balance = value; }},
      {"lag", [&] { options.lag = std::stoi(value); }},
      {"on_loss", [&] { options.loss.on_loss = OnLossOf(value); }},
      {"patience_ms", [&] { options.loss.patience = milliseconds(std::stoi(value)); }},
      {"on_missing", [&] { options.on_missing = value == "fail" ? OnMissing::kFail : OnMissing::kCommitWithout; }},
      {"membership", [&] { options.membership = value; }},
      {"log_steps", [&] { options.loss.log_steps = std::stoi(value); }},
      {"fail_when_full", [&] { options.loss.fail_when_full = value == "1"; }},
      {"owned",
       [&] {
         for (LayerOptions& layer : options.layers) layer.owned = false;
         for (const int layer : Numbers(value)) options.layers.at(layer).owned = true;
       }},
      {"next_step", [&] { options.next_step = std::stoull(value); }},
      {"begin_step_timeout_ms", [&] { options.begin_step_timeout = milliseconds(std::stoi(value)); }},
      {"join_timeout_ms", [&] { options.join_timeout = milliseconds(std::stoi(value)); }},
      {"resume", [&] { options.resume = value == "rewind" ? Resume::kRewind : Resume::kCatchUp; }},
      {"state", [&] { options.state = ReadFile(value); }},
      {"save_after", [&] { run->save_after = std::stoull(value); }},
      {"save_to", [&] { run->save_to = value; }},
      {"steps", [&] { run->steps = std::stoull(value); }},
      {"seed", [&] { run->seed = std::stoull(value); }},
      {"counted_ranks", [&] { run->counted_ranks = std::stoi(value); }},
      {"steered", [&] { run->steered = value; }},
      {"mode", [&] { options.mode = value == "frozen" ? JobMode::kFrozen : JobMode::kObserve; }},
      {"on_skip", [&] { options.on_skip = value == "apply" ? OnSkip::kApply : OnSkip::kDrop; }},
      {"initial_bias", [&] { BeginWith(std::stof(value), &options.layers); }},
      {"replays", [&] { run->replays = value == "1"; }},
      {"distracted", [&] { run->distracted = value == "1"; }},
      {"drift",
       [&] {
         run->drift = value == "1";
         options.layers = {{"model.layers.0.gate", kDriftExperts, kCountedTopK, R"({"score": "SIGMOID"})"}};
       }},
  };
  const auto flag = flags.find(name);
  if (flag == flags.end()) return false;
  flag->second();
  return true;
}

int Fail(const Status& status) {
  std::fprintf(stderr, "%s (code %d)\n", status.message().c_str(), static_cast<int>(status.code()));
  return 1;
}

void Print(const Run& run, uint64_t step, const StepReport& report) {
  const bool provisional = run.options.loss.on_loss == OnLoss::kLocal && report.staleness > 0;
  std::printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d %016" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.4f\n",
              step, report.epoch, report.step, provisional ? 1 : 0, report.ok ? 1 : 0, report.bias_hash,
              report.staleness, report.undelivered_steps, report.lost_steps, report.max_violation[0]);
}

// A row of a rank's counts is a micro-batch of it, which is counted once however often it is given.
Status CountOnce(const Run& run, int layer, int stream, int micro_batch, const Counted& counted, Worker* worker) {
  Counts counts = {counted.counts.data(), counted.tokens};
  counts.stream = stream;
  counts.micro_batch = micro_batch;
  Counts dispatched = counts;
  dispatched.counts = counted.dispatched.data();
  Status status;
  for (int time = 0; status.ok() && time < (run.distracted ? 2 : 1); ++time) {
    status = worker->AddCounts(layer, counts);
    if (status.ok() && !counted.dispatched.empty()) status = worker->AddDispatched(layer, dispatched);
  }
  return status;
}

Status CountStep(const Run& run, uint64_t step, Worker* worker, bool* taken) {
  for (int rank = run.options.rank; rank < run.options.rank + run.counted_ranks; ++rank) {
    *taken = *taken && StepTaken(run.seed, step, rank);
    for (int layer = 0; layer < kNumCountedLayers; ++layer) {
      if (!run.options.layers[layer].owned) continue;
      for (int stream = 0; stream < kCountedLayers[layer].streams; ++stream) {
        const Counted counted = CountsOf(run.seed, step, rank, layer, stream);
        const Status status = CountOnce(run, layer, stream, rank - run.options.rank, counted, worker);
        if (!status.ok()) return status;
      }
    }
  }
  return Status();
}

Status RouteStep(const Run& run, uint64_t step, Worker* worker) {
  synthetic::SyntheticOptions options;
  options.seed = run.seed;
  options.num_experts = kDriftExperts;
  options.skew = 1;
  options.drift = 0.0005;
  static const synthetic::SyntheticLoad load = synthetic::SyntheticLoad::Create(options).value();
  std::vector<float> logits(kDriftTokens * kDriftExperts);
  load.FillLogits({step, run.options.rank, /*first=*/0, kDriftTokens}, /*layer=*/0, logits.data(), kDriftExperts);
  return worker->Route(0, {kDriftTokens, logits.data()}, {});
}

Status Save(const Run& run, uint64_t step, Worker* worker) {
  if (step != run.save_after || run.options.rank != 0) return Status();
  auto state = worker->SaveState();
  if (!state.ok()) return state.status();
  std::ofstream(run.save_to, std::ios::binary) << *state;
  return Status();
}

void AwaitLeaveToRun(uint64_t step) {
  static uint64_t last = 0;
  for (std::string line; last < step && std::getline(std::cin, line);) last = std::stoull(line);
}

// In any step, or between two: counts what belongs to another.
Status Evaluate(const Run& run, uint64_t step, Counting back_to, Worker* worker) {
  bool taken = true;
  Status status = worker->SetCounting(Counting::kEvaluate);
  if (status.ok()) status = CountStep(run, step + 1, worker, &taken);
  if (status.ok()) status = worker->SetCounting(back_to);
  return status;
}

Status DryRun(const Run& run, uint64_t step, Worker* worker) {
  bool taken = true;
  Status status = worker->SetCounting(Counting::kDryRun);
  if (status.ok()) status = worker->BeginStep(step);
  if (status.ok()) status = CountStep(run, step + 2, worker, &taken);
  if (status.ok()) status = Evaluate(run, step, Counting::kDryRun, worker);
  if (status.ok()) status = worker->Commit(step, taken);
  if (status.ok()) status = worker->SetCounting(Counting::kTrain);
  return status;
}

bool Replays(const Run& run, uint64_t step) {
  bool any = false;
  for (int rank = run.options.rank; run.replays && rank < run.options.rank + run.counted_ranks; ++rank) {
    any = any || StepReplayed(run.seed, step, rank);
  }
  return any;
}

// From BeginStep to before Commit.
Status TrainStep(const Run& run, uint64_t step, Worker* worker, bool* taken) {
  const Counting counting = Replays(run, step) ? Counting::kReplay : Counting::kTrain;
  Status status;
  if (run.distracted && step % 3 == 0) status = DryRun(run, step, worker);
  if (status.ok() && run.distracted) status = Evaluate(run, step, counting, worker);
  if (status.ok()) status = worker->SetCounting(counting);
  if (status.ok()) status = worker->BeginStep(step);
  if (run.steered == "within") AwaitLeaveToRun(step);
  if (status.ok()) status = run.drift ? RouteStep(run, step, worker) : CountStep(run, step, worker, taken);
  if (status.ok() && run.distracted) status = Evaluate(run, step, counting, worker);
  return status;
}

int Train(const Run& run) {
  auto joined = Worker::Join(run.options);
  if (!joined.ok()) return Fail(joined.status());
  Worker& worker = **joined;
  for (uint64_t step = run.options.next_step; step <= run.steps; ++step) {
    if (run.steered == "before") AwaitLeaveToRun(step);
    bool taken = true;
    Status status = TrainStep(run, step, &worker, &taken);
    if (status.ok()) Print(run, step, worker.report());
    if (status.ok()) status = worker.Commit(step, taken);
    if (status.ok()) status = Save(run, step, &worker);
    if (!status.ok()) return Fail(status);
  }
  if (!run.steered.empty()) AwaitLeaveToRun(run.steps + 1);
  const Status status = worker.Leave();
  if (!status.ok()) return Fail(status);
  Print(run, run.steps + 1, worker.report());
  return 0;
}

}  // namespace
}  // namespace evenkeel::tests

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  evenkeel::tests::Run run;
  for (const evenkeel::tests::CountedLayer& layer : evenkeel::tests::kCountedLayers) {
    evenkeel::LayerOptions options = {layer.name, layer.num_experts, evenkeel::tests::kCountedTopK, ""};
    options.streams = layer.streams;
    options.counts_dispatched = layer.counts_dispatched;
    run.options.layers.push_back(options);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const bool is_flag = argument.rfind("--", 0) == 0 && equals != std::string::npos;
    if (!is_flag || !evenkeel::tests::ReadFlag(argument.substr(2, equals - 2), argument.substr(equals + 1), &run)) {
      return std::fprintf(stderr, "counting_worker: %s is no flag of --name=value\n", argv[i]), 2;
    }
  }
  return Train(run);
}
