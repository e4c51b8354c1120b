// A worker whose counts are a pure function of a seed: what every mode must come to the same bias by. By the public
// header alone.
//
//   counting_worker COORDINATOR JOB RANK WORLD_SIZE GROUP EP_SIZE STORE BALANCE STEPS SEED COUNTED_RANKS
//
// "-" stands for an empty argument. Counts for COUNTED_RANKS ranks, from its own on: 1, or all of them where one
// process stands for the world. Prints a line for every step: its number, whether it was taken, and the hash of the
// bias.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "evenkeel/worker.h"

namespace {

constexpr int kTopK = 2;
constexpr int kExperts[] = {8, 5};
constexpr int kLayers = 2;

std::string Argument(const char* text) { return std::string(text) == "-" ? "" : text; }

// What `rank` counts at `layer` in `step`; the favourites change with the layer.
struct Counted {
  std::vector<uint64_t> counts;
  uint64_t tokens = 0;
};

Counted CountsOf(uint64_t seed, uint64_t step, int rank, int layer) {
  std::mt19937_64 random(seed * 1'000'003 + step * 1009 + rank * 31 + layer);
  Counted counted;
  counted.counts.resize(kExperts[layer]);
  counted.tokens = random() % 64;
  for (uint64_t token = 0; token < counted.tokens; ++token) {
    const uint64_t first = std::min(random() % kExperts[layer], random() % kExperts[layer]);
    ++counted.counts[(first + layer) % kExperts[layer]];
    ++counted.counts[(first + layer + 1 + random() % (kExperts[layer] - 1)) % kExperts[layer]];
  }
  return counted;
}

// One step in seventeen, a rank's optimizer step is not taken.
bool StepTaken(uint64_t seed, uint64_t step, int rank) {
  return std::mt19937_64(seed + step * 7919 + rank)() % 17 != 0;
}

int Fail(const evenkeel::Status& status) {
  std::fprintf(stderr, "%s (code %d)\n", status.message().c_str(), static_cast<int>(status.code()));
  return 1;
}

void Print(const evenkeel::StepReport& report) {
  std::printf("%" PRIu64 " %d %016" PRIx64 "\n", report.step, report.ok ? 1 : 0, report.bias_hash);
}

struct Run {
  evenkeel::WorkerOptions options;
  uint64_t steps = 0;
  uint64_t seed = 0;
  int counted_ranks = 1;
};

evenkeel::Status CountStep(const Run& run, uint64_t step, evenkeel::Worker* worker) {
  bool taken = true;
  for (int rank = run.options.rank; rank < run.options.rank + run.counted_ranks; ++rank) {
    taken = taken && StepTaken(run.seed, step, rank);
    for (int layer = 0; layer < kLayers; ++layer) {
      const Counted counted = CountsOf(run.seed, step, rank, layer);
      evenkeel::Status status = worker->AddCounts(layer, counted.counts.data(), counted.tokens);
      if (!status.ok()) return status;
    }
  }
  return worker->Commit(step, taken);
}

int Train(const Run& run) {
  auto joined = evenkeel::Worker::Join(run.options);
  if (!joined.ok()) return Fail(joined.status());
  evenkeel::Worker& worker = **joined;
  for (uint64_t step = 1; step <= run.steps; ++step) {
    evenkeel::Status status = worker.BeginStep(step);
    if (status.ok() && step > 1) Print(worker.report());
    if (status.ok()) status = CountStep(run, step, &worker);
    if (!status.ok()) return Fail(status);
  }
  const evenkeel::Status status = worker.Leave();
  if (!status.ok()) return Fail(status);
  Print(worker.report());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 12) return std::fprintf(stderr, "counting_worker: 11 arguments are needed\n"), 2;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  Run run;
  run.options.coordinator = Argument(argv[1]);
  run.options.job = argv[2];
  run.options.rank = std::atoi(argv[3]);
  run.options.world_size = std::atoi(argv[4]);
  run.options.group.name = Argument(argv[5]);
  run.options.group.expert_parallel_size = std::atoi(argv[6]);
  run.options.group.store = Argument(argv[7]);
  run.options.group.timeout = std::chrono::seconds(20);
  run.options.balance = argv[8];
  run.options.layers = {{"model.layers.1.gate", kExperts[0], kTopK, ""},
                        {"model.layers.0.gate", kExperts[1], kTopK, ""}};
  run.steps = std::strtoull(argv[9], nullptr, 10);
  run.seed = std::strtoull(argv[10], nullptr, 10);
  run.counted_ranks = std::atoi(argv[11]);
  return Train(run);
}
