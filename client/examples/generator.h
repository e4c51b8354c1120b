#pragma once

#include <cstdint>

namespace text_worker {

// Random numbers that are the same bits on every machine: splitmix64 (Steele, Lea and Flood, 2014), and of it numbers
// that are nearly normal, without a library's logarithm or cosine.
class Generator {
 public:
  explicit Generator(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Mean 0, variance 1, within +-3.5: the sum of four uniform numbers of 16 bits.
  float NextNormal() {
    const uint64_t word = Next();
    const auto sum =
        static_cast<int32_t>((word & 0xffff) + ((word >> 16) & 0xffff) + ((word >> 32) & 0xffff) + (word >> 48));
    return static_cast<float>(sum - 2 * 0xffff) * (1.0f / 37837.2f);
  }

 private:
  uint64_t state_;
};

}  // namespace text_worker
