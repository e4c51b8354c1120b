#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// The defined arithmetic: exp, log1p, sigmoid, softplus and its square root. Each is a fixed sequence of the
// operations of ieee.h, without table, branch or libm, and is therefore the same bits in every router.
//
// Accuracy: the error is below 1 ulp of the exact value over all 2^32 floats, subnormal results included. Measured
// (arithmetic_test.cc): Exp 0.877, Log1p 0.576, Sigmoid 0.948, Softplus 0.805, SqrtSoftplus 0.934. What is composed of
// others keeps to it because the inner value is carried with its rounding error: 1 / (1 + Exp(-x)), rounded operation
// by operation, would be off by more than 2 ulp, and would be 0 from -88.8 down, where the sigmoid is 2^-128.
// Between neighbouring arguments a result may go the wrong way, by one ulp at most.
//
// A NaN gives a NaN, whose sign and payload are not defined. An overflow gives infinity.
namespace evenkeel::routing {

namespace arithmetic_internal {

// exp(x) = (1 + r + u) * 2^n for |x| < 2^21. r is exact, |r| < 0.35; u, small beside it, is good to 2^-28. Their
// rounded sum would cost a quarter of an ulp, which not every caller can spare.
struct ReducedExp {
  float r;
  float u;
  uint32_t n;  // two's complement, in the low 9 bits; the others hold anything
};

EVENKEEL_HD_INLINE ReducedExp ReduceExp(float x) {
  constexpr float kLog2E = 0x1.715476p0f;
  constexpr float kLn2High = 0x1.62e43p-1f;
  constexpr float kLn2Low = -0x1.05c61p-29f;
  constexpr float kToInteger = 0x1.8p23f;  // its last place is 1: what is added to it is rounded to an integer
  const float shifted = ieee::Fma(x, kLog2E, kToInteger);
  const float n = ieee::Sub(shifted, kToInteger);
  const float r = ieee::Fma(n, -kLn2High, x);
  const float r_low = ieee::Mul(n, -kLn2Low);
  // exp(z) = 1 + z + z^2 P(z) on |z| <= log(2) / 2, minimax to 2^-28.
  const float z = ieee::Add(r, r_low);
  float p = ieee::Fma(0x1.6b81a6p-10f, z, 0x1.123046p-7f);
  p = ieee::Fma(p, z, 0x1.555676p-5f);
  p = ieee::Fma(p, z, 0x1.5554a2p-3f);
  p = ieee::Fma(p, z, 0.5f);
  return {r, ieee::Fma(ieee::Mul(z, z), p, r_low), ieee::Bits(shifted)};
}

// 2^n for -150 <= n <= 0, rounded: a subnormal number below 2^-126, 0 for -150.
EVENKEEL_HD_INLINE float PowerOfTwo(uint32_t n) {
  return ieee::Mul(ieee::FromBits((n << 23) + (227u << 23)), 0x1p-100f);
}

// log(1 + f + f_low) = high + low for -0.3 <= f <= 1 and |f_low| within half a last place of f. low is at most a
// few per cent of high, so that their rounded sum is good to little more than half an ulp.
struct Pair {
  float high;
  float low;
};

EVENKEEL_HD_INLINE Pair Log1pPair(float f, float f_low) {
  // 2 atanh(s / 2) = s + s^3 P(s^2), with s = 2f / (2 + f) and its remainder.
  const float y = ieee::Div(2.0f, ieee::Add(2.0f, f));
  const float s = ieee::Mul(f, y);
  const float half = ieee::Mul(0.5f, s);
  float remainder = ieee::Fma(-half, f, ieee::Sub(f, s));
  remainder = ieee::Fma(f_low, ieee::Sub(1.0f, half), remainder);
  const float v = ieee::Mul(s, s);
  float p = ieee::Fma(0x1.f08af8p-14f, v, 0x1.b72bb8p-12f);
  p = ieee::Fma(p, v, 0x1.25051p-9f);
  p = ieee::Fma(p, v, 0x1.9996d8p-7f);
  p = ieee::Fma(p, v, 0x1.555558p-4f);
  return {s, ieee::Fma(ieee::Mul(s, v), p, ieee::Mul(remainder, y))};
}

}  // namespace arithmetic_internal

// e^x.
EVENKEEL_HD_INLINE float Exp(float x) {
  // Outside, exp rounds to 0 and to infinity; so it does at the bounds.
  const float clamped = ieee::Min(ieee::Max(x, -104.0f), 89.0f);
  const auto [r, u, n] = arithmetic_internal::ReduceExp(clamped);
  // 2^n in two factors, the first of which is exact: the result is rounded once, be it subnormal or too great.
  const bool down = x < 0;
  const float near = ieee::FromBits((n << 23) + (down ? 227u << 23 : 27u << 23));
  const float far = down ? 0x1p-100f : 0x1p100f;
  return ieee::Mul(ieee::Mul(ieee::Add(1.0f, ieee::Add(r, u)), near), far);
}

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
  const auto [high, low] = arithmetic_internal::Log1pPair(f, f_low);
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

// 1 / (1 + e^-x).
EVENKEEL_HD_INLINE float Sigmoid(float x) {
  // With e = exp(-|x|) = k (1 + t), k = 2^n: the sigmoid of -|x| is e / (1 + e), that of |x| is one minus it.
  const float a = ieee::Max(-ieee::Abs(x), -104.0f);
  const auto [r, u, n] = arithmetic_internal::ReduceExp(a);
  const float k = arithmetic_internal::PowerOfTwo(n);
  const float t = ieee::Add(r, u);
  const float e = ieee::Fma(k, t, k);
  // y = 1 / (1 + e) to 2^-17: minimax on [0, 1] to 2^-9, then a Newton step. Newton comes from below; a 1 that is 2^-18
  // too great brings y to the upper side, not below 1/2, where 1 - y is exact. No division: a GPU is slow at it.
  float y = ieee::Fma(-0x1.c61bc2p-3f, e, 0x1.54a934p-1f);
  y = ieee::Fma(y, e, -0x1.e2af98p-1f);
  y = ieee::Fma(y, e, 0x1.ff1c6ap-1f);
  y = ieee::Fma(y, ieee::Fma(-y, ieee::Add(1.0f, e), 0x1.00004p0f), y);
  // What y lacks: d = 1 - y (1 + k (1 + r + u)), in an order that loses nothing. Then
  // e / (1 + e) = k y (1 + t) (1 + d), to d^2.
  const float ky = ieee::Mul(k, y);
  const float d = ieee::Fma(-ky, u, ieee::Fma(-ky, r, ieee::Sub(ieee::Sub(1.0f, y), ky)));
  const float w = ieee::Add(r, ieee::Add(u, ieee::Fma(t, d, d)));
  const float q = ieee::Mul(ieee::Fma(y, w, y), k);
  return x > 0 ? ieee::Sub(1.0f, q) : q;
}

// log(1 + e^x).
EVENKEEL_HD_INLINE float Softplus(float x) {
  // max(x, 0) + log1p(e), with e = exp(-|x|) = e_high + e_low.
  const float a = ieee::Max(-ieee::Abs(x), -104.0f);
  const auto [r, u, n] = arithmetic_internal::ReduceExp(a);
  const float k = arithmetic_internal::PowerOfTwo(n);
  const float p = ieee::Add(1.0f, ieee::Add(r, u));
  const float p_low = ieee::Add(ieee::Add(ieee::Sub(1.0f, p), r), u);
  const auto [high, low] = arithmetic_internal::Log1pPair(ieee::Mul(k, p), ieee::Mul(k, p_low));
  const float base = ieee::Max(0.0f, x);
  const float big = ieee::Max(base, high);
  const float small = ieee::Min(base, high);
  const float sum = ieee::Add(big, small);
  const float sum_low = ieee::Add(ieee::Sub(small, ieee::Sub(sum, big)), low);
  // Far up, log1p(e) is below half an ulp of x.
  return x > 32.0f ? x : ieee::Add(sum, sum_low);
}

// sqrt(log(1 + e^x)).
EVENKEEL_HD_INLINE float SqrtSoftplus(float x) {
  // Far down, softplus(x) is e^x and its root e^(x / 2) = softplus(x / 2), a normal number long after e^x is none.
  const bool far_down = x < -40.0f;
  const float softplus = Softplus(far_down ? ieee::Mul(0.5f, x) : x);
  const float root = ieee::Sqrt(softplus);
  return far_down ? softplus : root;
}

}  // namespace evenkeel::routing
