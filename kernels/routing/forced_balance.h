#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// The experts of forced balance (benchmarks), defined in integers so that every router forces the same ones.
namespace evenkeel::routing {

// Round robin: the expert of slot `slot` of row `row`. K consecutive experts, distinct as top_k <= num_experts.
EVENKEEL_HD_INLINE int RoundRobinExpert(int64_t row, int slot, int top_k, int num_experts) {
  const uint64_t position = static_cast<uint64_t>(row) * static_cast<uint64_t>(top_k) + static_cast<uint64_t>(slot);
  return static_cast<int>(position % static_cast<uint64_t>(num_experts));
}

// Random: the row's experts are those with the K best RandomScores, sorted like any others by (score descending, id
// ascending). Counter-based: a score depends on (seed, row, expert) only.
//
// The row's part is the output function of SplitMix64 (Steele, Lea and Flood 2014), computed once a row.
EVENKEEL_HD_INLINE uint64_t RandomRowKey(uint64_t seed, int64_t row) {
  uint64_t z = seed + (static_cast<uint64_t>(row) + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The expert's part is the 32-bit finaliser of MurmurHash3 over both halves of the row's key; its upper 24 bits are
// the score, a multiple of 2^-24 in [0, 1).
EVENKEEL_HD_INLINE float RandomScore(uint64_t row_key, int expert) {
  uint32_t h = static_cast<uint32_t>(row_key) + static_cast<uint32_t>(expert) * 0x9e3779b9u;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h ^= static_cast<uint32_t>(row_key >> 32);
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  h ^= h >> 16;
  return ieee::Mul(static_cast<float>(h >> 8), 0x1p-24f);
}

}  // namespace evenkeel::routing
