#pragma once

#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace evenkeel::core::simulation {

// Random numbers that are the same on every machine: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
// number generators, 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // Those of one part of a history: what others draw does not change them.
  Random(uint64_t seed, absl::string_view part) : state_(seed) {
    for (const char c : part) state_ = Next() ^ static_cast<unsigned char>(c);
  }

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Both ends included.
  int Between(int low, int high) { return low + static_cast<int>(Next() % (high - low + 1)); }

  bool Percent(int chance) { return Between(0, 99) < chance; }

  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Next() % values.size()];
  }

 private:
  uint64_t state_;
};

}  // namespace evenkeel::core::simulation
