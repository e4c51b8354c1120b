// A training worker whose model is a toy and whose load on the coordinator is real: see kHelp in flags.cc. All it knows
// of Evenkeel is the client's public headers.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/examples/flags.h"
#include "client/examples/gpu_tokens.h"
#include "client/examples/progress.h"
#include "client/examples/synthetic_tokens.h"
#include "client/examples/text_tokens.h"
#include "evenkeel/worker.h"

namespace text_worker {
namespace {

using evenkeel::Result;
using evenkeel::Status;
using evenkeel::Worker;

// The router of DeepSeek-V3, without groups.
constexpr char kRoute[] = R"({"score": "SIGMOID", "normalize": true, "normalize_epsilon": 1e-20, "scale": 2.5})";

int DeviceOf(const Flags& flags) {
  if (flags.device != Flags::kAuto) return flags.device;
  return HasGpu() ? 0 : Flags::kHost;
}

evenkeel::WorkerOptions OptionsOf(const Flags& flags) {
  evenkeel::WorkerOptions options;
  options.coordinator = flags.coordinator;
  options.job = flags.job;
  options.rank = flags.rank;
  options.world_size = flags.world_size;
  for (int layer = 0; layer < flags.layers; ++layer) {
    options.layers.push_back({"layers." + std::to_string(layer) + ".gate", flags.experts, flags.top_k, kRoute});
  }
  options.balance = flags.balance;
  options.device = DeviceOf(flags);
  options.next_step = flags.next_step;
  return options;
}

// Routes the tokens of one step through all layers, micro-batch by micro-batch.
Status RouteStep(const Flags& flags, TokenSource* source, Worker* worker) {
  const int64_t rows_each = (flags.tokens + flags.micro_batches - 1) / flags.micro_batches;
  for (int64_t first = 0; first < flags.tokens; first += rows_each) {
    source->Take(first, std::min<int64_t>(rows_each, flags.tokens - first));
    for (int layer = 0; layer < flags.layers; ++layer) {
      // A real model would take ids and weights, and dispatch the tokens to their experts.
      Result<evenkeel::Tokens> tokens = source->Tokens(layer);
      if (!tokens.ok()) return tokens.status();
      Status status = worker->Route(layer, *tokens, evenkeel::Assignments());
      if (!status.ok()) return status;
    }
  }
  return Status();
}

Status Run(const Flags& flags) {
  Result<std::unique_ptr<TokenSource>> source = flags.synthetic ? SyntheticTokens(flags) : TextTokens(flags);
  if (!source.ok()) return source.status();
  const Progress progress(flags.json);

  const evenkeel::WorkerOptions options = OptionsOf(flags);
  Result<std::unique_ptr<Worker>> worker = Worker::Join(options);
  if (!worker.ok()) return worker.status();
  if (options.device != Flags::kHost) source = OnGpu(std::move(*source), options.device);
  if (!source.ok()) return source.status();
  std::fprintf(stderr, "%s\n", (*worker)->summary());

  std::chrono::steady_clock::time_point committed_at;
  const auto seconds_since_commit = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - committed_at).count();
  };
  for (uint64_t step = flags.next_step; step <= flags.steps; ++step) {
    Status status = (*worker)->BeginStep(step);
    if (!status.ok()) return status;
    if (step > flags.next_step) progress.Step((*worker)->report(), seconds_since_commit());
    progress.Begin(step);

    (*source)->BeginStep(step);
    status = RouteStep(flags, source->get(), worker->get());
    if (!status.ok()) return status;

    committed_at = std::chrono::steady_clock::now();
    status = (*worker)->Commit(step);
    if (!status.ok()) return status;
    progress.Commit(step);
  }
  Status status = (*worker)->Leave();
  if (!status.ok()) return status;
  progress.Step((*worker)->report(), seconds_since_commit());
  progress.Done((*worker)->report());
  return Status();
}

int Main(const std::vector<std::string>& arguments) {
  Result<Flags> flags = ParseFlags(arguments);
  if (!flags.ok()) {
    std::fprintf(stderr, "text_worker: %s\n", flags.status().message().c_str());
    return 2;
  }
  if (flags->help) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  const Status status = Run(*flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "text_worker: rank %d: %s\n", flags->rank, status.message().c_str());
  return 1;
}

}  // namespace
}  // namespace text_worker

int main(int argc, char** argv) { return text_worker::Main({argv + 1, argv + argc}); }
