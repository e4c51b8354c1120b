#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// The defined arithmetic: exp, exp of a difference, log1p, sigmoid, softplus and its square root. Each is a fixed
// sequence of the operations of ieee.h, without table, branch or libm, and is therefore the same bits in every router.
// The text of most is in arithmetic-inl.h, compiled here for one number, and for vectors of them by the routers of
// cpu/.
//
// Accuracy: the error is below 1 ulp of the exact value over all 2^32 floats, subnormal results included. Measured
// (arithmetic_test.cc): Exp 0.877, Log1p 0.576, Sigmoid 0.948, Softplus 0.805, SqrtSoftplus 0.934. What is composed of
// others keeps to it because the inner value is carried with its rounding error: 1 / (1 + Exp(-x)), rounded operation
// by operation, would be off by more than 2 ulp, and would be 0 from -88.8 down, where the sigmoid is 2^-128.
// Between neighbouring arguments a result may go the wrong way, by one ulp at most.
//
// A NaN gives a NaN, whose sign and payload are not defined. An overflow gives infinity.
namespace evenkeel::routing {

namespace scalar {
using Float = float;
using Word = uint32_t;
using Mask = bool;
#include "kernels/routing/arithmetic-inl.h"
}  // namespace scalar

using scalar::Exp;
using scalar::ExpOfDifference;
using scalar::Sigmoid;
using scalar::Softplus;
using scalar::SqrtSoftplus;

// log(1 + x); -infinity at -1, NaN below.
EVENKEEL_HD_INLINE float Log1p(float x) {
  constexpr float kLn2High = 0x1.62e4p-1f;  // 15 bits: a multiple of it by an integer below 2^8 is exact
  constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  // 1 + x = u + u_low = 2^m * (1 + f + f_low), with 1 + f in [sqrt(1/2), sqrt(2)).
  const float u = ieee::Add(1.0f, x);
  const float big = ieee::Max(x, 1.0f);
  const float small = ieee::Min(x, 1.0f);
  const float u_low = ieee::Sub(small, ieee::Sub(u, big));
  constexpr uint32_t kSqrtHalf = 0x3f3504f3u;
  const int32_t m = static_cast<int32_t>(ieee::Bits(u) - kSqrtHalf) >> 23;
  const float scaled = ieee::FromBits(ieee::Bits(u) - (static_cast<uint32_t>(m) << 23));
  // 2^-m, or 0 where u_low no longer matters.
  const uint32_t scale_m = static_cast<uint32_t>(m < 127 ? m : 127);
  const float scale = ieee::FromBits(0x3f800000u - (scale_m << 23));
  const bool reduced = m != 0;
  const float f = reduced ? ieee::Sub(scaled, 1.0f) : x;
  const float f_low = reduced ? ieee::Mul(u_low, scale) : 0.0f;
  const auto [high, low] = scalar::Log1pPair(f, f_low);
  const float whole = static_cast<float>(m);
  const float top = ieee::Mul(whole, kLn2High);
  const float sum = ieee::Add(top, high);
  const float sum_low = ieee::Add(ieee::Sub(high, ieee::Sub(sum, top)), ieee::Fma(whole, kLn2Low, low));
  float result = ieee::Add(sum, sum_low);
  result = x > 0x1.fffffep127f ? x : result;
  result = x == -1.0f ? -ieee::FromBits(0x7f800000u) : result;
  result = x < -1.0f ? ieee::FromBits(0x7fc00000u) : result;
  return x != x ? x : result;
}

}  // namespace evenkeel::routing
