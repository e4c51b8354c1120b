#pragma once

#include <cstdint>
#include <vector>

// What counting_worker counts: a pure function of a seed, and so what every way of adding it up must come to the same
// bias by.
namespace evenkeel::tests {

struct CountedLayer {
  const char* name;
  int num_experts;
  int streams = 1;
  bool counts_dispatched = false;
};

// In the order in which the worker names them, which is not that of their names.
inline constexpr CountedLayer kCountedLayers[] = {
    {"model.layers.1.gate", 8},
    {"model.layers.0.gate", 5, /*streams=*/2, /*counts_dispatched=*/true},
    {"model.layers.2.gate", 6, /*streams=*/1, /*counts_dispatched=*/true}};
inline constexpr int kNumCountedLayers = 3;
inline constexpr int kCountedTopK = 2;

struct Counted {
  std::vector<uint64_t> counts;  // [num_experts]
  uint64_t tokens = 0;
  std::vector<uint64_t> dispatched;  // of counts, what a capacity limit left; empty where the layer does not tell
};

// What `rank` counts in `step` at a stream of kCountedLayers[layer]; the favourites change with both.
Counted CountsOf(uint64_t seed, uint64_t step, int rank, int layer, int stream);

// One step in seventeen, a rank's optimizer step is not taken.
bool StepTaken(uint64_t seed, uint64_t step, int rank);

// One step in thirteen, a rank's tokens come from elsewhere: where a test asks for that.
bool StepReplayed(uint64_t seed, uint64_t step, int rank);

}  // namespace evenkeel::tests
