#pragma once

#include <cstdint>

// The operations of which every float of the kernels is made, each rounded once to nearest, on host and device, and
// never contracted: a product and a sum are fused where Fma is written and nowhere else. The host is built with
// -ffp-contract=off; on the device the intrinsics keep the compiler from fusing.
//
// Everything here is one machine instruction or a select, so that a function made of it has no branch and the same
// bits in a scalar, in a SIMD lane and in a GPU thread.

#ifndef EVENKEEL_HD
#ifdef __CUDACC__
#define EVENKEEL_HD __host__ __device__
#else
#define EVENKEEL_HD
#endif
#endif

// Always inlined: a caller compiled for a machine with fma must get the instruction, not a call that was compiled
// for one without.
#define EVENKEEL_HD_INLINE EVENKEEL_HD inline __attribute__((always_inline))

namespace evenkeel::ieee {

#ifdef __CUDA_ARCH__
EVENKEEL_HD_INLINE float Fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
EVENKEEL_HD_INLINE float Add(float a, float b) { return __fadd_rn(a, b); }
EVENKEEL_HD_INLINE float Sub(float a, float b) { return __fsub_rn(a, b); }
EVENKEEL_HD_INLINE float Mul(float a, float b) { return __fmul_rn(a, b); }
EVENKEEL_HD_INLINE float Div(float a, float b) { return __fdiv_rn(a, b); }
EVENKEEL_HD_INLINE float Sqrt(float a) { return __fsqrt_rn(a); }
EVENKEEL_HD_INLINE double Add(double a, double b) { return __dadd_rn(a, b); }
EVENKEEL_HD_INLINE double Sub(double a, double b) { return __dsub_rn(a, b); }
EVENKEEL_HD_INLINE double Mul(double a, double b) { return __dmul_rn(a, b); }
EVENKEEL_HD_INLINE double Div(double a, double b) { return __ddiv_rn(a, b); }
EVENKEEL_HD_INLINE uint32_t Bits(float a) { return __float_as_uint(a); }
EVENKEEL_HD_INLINE float FromBits(uint32_t a) { return __uint_as_float(a); }
#else
EVENKEEL_HD_INLINE float Fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
EVENKEEL_HD_INLINE float Add(float a, float b) { return a + b; }
EVENKEEL_HD_INLINE float Sub(float a, float b) { return a - b; }
EVENKEEL_HD_INLINE float Mul(float a, float b) { return a * b; }
EVENKEEL_HD_INLINE float Div(float a, float b) { return a / b; }
EVENKEEL_HD_INLINE float Sqrt(float a) { return __builtin_sqrtf(a); }
EVENKEEL_HD_INLINE double Add(double a, double b) { return a + b; }
EVENKEEL_HD_INLINE double Sub(double a, double b) { return a - b; }
EVENKEEL_HD_INLINE double Mul(double a, double b) { return a * b; }
EVENKEEL_HD_INLINE double Div(double a, double b) { return a / b; }
EVENKEEL_HD_INLINE uint32_t Bits(float a) {
  uint32_t bits;
  __builtin_memcpy(&bits, &a, sizeof(bits));
  return bits;
}
EVENKEEL_HD_INLINE float FromBits(uint32_t a) {
  float value;
  __builtin_memcpy(&value, &a, sizeof(value));
  return value;
}
#endif

// False for NaN and for both infinities.
EVENKEEL_HD_INLINE bool IsFinite(float a) { return (Bits(a) & 0x7f800000u) != 0x7f800000u; }

EVENKEEL_HD_INLINE float Abs(float a) { return FromBits(Bits(a) & 0x7fffffffu); }

// The greater of the two; `a` where they compare unordered, so put the NaN that must live there.
EVENKEEL_HD_INLINE float Max(float a, float b) { return b > a ? b : a; }

// The lesser of the two; `a` where they compare unordered.
EVENKEEL_HD_INLINE float Min(float a, float b) { return b < a ? b : a; }

EVENKEEL_HD_INLINE float Neg(float a) { return -a; }

// c - a * b, fused.
EVENKEEL_HD_INLINE float NegFma(float a, float b, float c) { return Fma(-a, b, c); }

// What arithmetic on vectors has no operator for; here so that one text does for a number and for a vector of numbers.
EVENKEEL_HD_INLINE float Constant(float a) { return a; }
EVENKEEL_HD_INLINE uint32_t Constant(uint32_t a) { return a; }
EVENKEEL_HD_INLINE uint32_t Add(uint32_t a, uint32_t b) { return a + b; }
template <int kBits>
EVENKEEL_HD_INLINE uint32_t ShiftLeft(uint32_t a) {
  return a << kBits;
}
EVENKEEL_HD_INLINE bool Less(float a, float b) { return a < b; }
EVENKEEL_HD_INLINE float Select(bool condition, float yes, float no) { return condition ? yes : no; }

}  // namespace evenkeel::ieee
