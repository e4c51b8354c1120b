#include <cstdio>
#include <vector>

#include "evenkeel/worker.h"

int main() {
  evenkeel::WorkerOptions options;
  options.coordinator = "127.0.0.1:7411";
  options.job = "my-run";
  options.layers = {{"model.layers.0.gate", /*num_experts=*/8, /*top_k=*/2, R"({"score": "SIGMOID"})"}};
  auto joined = evenkeel::Worker::Join(options);
  if (!joined.ok()) return std::fprintf(stderr, "%s\n", joined.status().message().c_str()), 1;
  evenkeel::Worker& worker = **joined;

  std::vector<float> logits(4 * 8);  // of your model: [tokens, experts]
  std::vector<int32_t> ids(4 * 2);
  std::vector<float> weights(4 * 2);
  for (uint64_t step = 1; step <= 10; ++step) {
    evenkeel::Status status = worker.BeginStep(step);
    if (status.ok()) status = worker.Route(0, {4, logits.data()}, {ids.data(), weights.data()});
    if (status.ok()) status = worker.Commit(step);  // the counts go to the coordinator, in the background
    if (!status.ok()) return std::fprintf(stderr, "%s\n", status.message().c_str()), 1;
  }
  return worker.Leave().ok() ? 0 : 1;
}
