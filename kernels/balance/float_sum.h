#pragma once

#include <cstdint>

#include "kernels/ieee.h"

namespace evenkeel::balance {

// A sum of floats in double, and what tells whether the order of its additions can matter. Plain data, the same on host
// and device.
struct FloatSum {
  double sum;
  uint32_t least;  // bits of the least magnitude among the addends that are not zero; infinity's without such
  uint32_t greatest;
};

EVENKEEL_HD_INLINE FloatSum SumOfNone() { return {0.0, 0x7f800000u, 0}; }

EVENKEEL_HD_INLINE FloatSum Join(const FloatSum& a, const FloatSum& b) {
  FloatSum both;
  both.sum = ieee::Add(a.sum, b.sum);
  both.least = a.least < b.least ? a.least : b.least;
  both.greatest = a.greatest > b.greatest ? a.greatest : b.greatest;
  return both;
}

EVENKEEL_HD_INLINE FloatSum Plus(const FloatSum& sum, float addend) {
  const uint32_t magnitude = ieee::Bits(ieee::Abs(addend));
  return Join(sum, {static_cast<double>(addend), magnitude == 0 ? sum.least : magnitude, magnitude});
}

// Whether no addition rounds, so that every order gives the same bits. A float with the exponent e is a multiple of
// 2^(e - 23) below 2^(e + 1): the sums of at most 2^n floats are multiples of one power of two below 2^(24 + n + d)
// of it, where d is how far their exponents are apart, and a double holds these up to 2^53.
EVENKEEL_HD_INLINE bool AnyOrder(const FloatSum& sum, int num_addends) {
  if (sum.greatest == 0) return true;
  const uint32_t low = sum.least >> 23;
  const int apart = static_cast<int>((sum.greatest >> 23) - (low == 0 ? 1 : low));
  int log2_addends = 0;
  while ((1 << log2_addends) < num_addends) ++log2_addends;
  return 24 + log2_addends + apart <= 53;
}

}  // namespace evenkeel::balance
