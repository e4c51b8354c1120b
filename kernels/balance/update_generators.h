#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "kernels/balance/update.h"

// Random layers and histories for the tests that hold one update against another. The same seed draws the same on every
// host.
namespace evenkeel::balance {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  double Unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Passes Validate() for `num_experts`, which is expected.
BalanceConfig RandomConfig(Random& random, int num_experts);

// One in seven of the modes is not kBalance.
Mode RandomMode(Random& random);

// Counts of a step, which add up to at most kMaxCountSum / 32; its tokens, 0 now and then.
std::vector<uint64_t> RandomCounts(Random& random, int num_experts);
uint64_t RandomTokens(Random& random);

// A layer at its beginning, but for its bias: anywhere, off centre, or such that the order of its sum matters.
LayerState RandomState(Random& random, int num_experts);

// Bit for bit, floats too.
void ExpectSameState(const LayerState& got, const LayerState& want);

}  // namespace evenkeel::balance
