#include "tests/counted_tokens.h"

#include <algorithm>
#include <random>

namespace evenkeel::tests {

Counted CountsOf(uint64_t seed, uint64_t step, int rank, int layer, int stream) {
  const int experts = kCountedLayers[layer].num_experts;
  std::mt19937_64 random(seed * 1'000'003 + step * 1009 + rank * 31 + layer + 17 * stream);
  Counted counted;
  counted.counts.resize(experts);
  counted.tokens = random() % 64;
  for (uint64_t token = 0; token < counted.tokens; ++token) {
    const uint64_t one = random() % experts;
    const uint64_t first = std::min(one, random() % experts);
    const uint64_t chosen = first + layer + 2 * stream;
    ++counted.counts[chosen % experts];
    ++counted.counts[(chosen + 1 + random() % (experts - 1)) % experts];
  }
  if (!kCountedLayers[layer].counts_dispatched) return counted;
  const uint64_t capacity = 1 + counted.tokens * kCountedTopK / experts;
  for (const uint64_t count : counted.counts) counted.dispatched.push_back(std::min(count, capacity));
  return counted;
}

bool StepTaken(uint64_t seed, uint64_t step, int rank) {
  return std::mt19937_64(seed + step * 7919 + rank)() % 17 != 0;
}

bool StepReplayed(uint64_t seed, uint64_t step, int rank) {
  return std::mt19937_64(seed + step * 104'729 + rank)() % 13 == 0;
}

}  // namespace evenkeel::tests
