#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// bfloat16 and IEEE half precision as 16 bits. To float is exact; from float rounds to nearest even, into subnormal
// numbers and infinity too; a NaN stays a (quiet) NaN. The same values as the conversion instructions of CPU and GPU.
namespace evenkeel::routing {

EVENKEEL_HD_INLINE float FloatFromBFloat16(uint16_t bits) { return ieee::FromBits(static_cast<uint32_t>(bits) << 16); }

EVENKEEL_HD_INLINE uint16_t BFloat16FromFloat(float value) {
  const uint32_t bits = ieee::Bits(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

EVENKEEL_HD_INLINE float FloatFromHalf(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return ieee::FromBits(sign | 0x7f800000u | (magnitude << 13));
  // Read as a float's exponent and mantissa the number is 2^112 too small, subnormal or not.
  const float value = ieee::Mul(ieee::FromBits(magnitude << 13), 0x1p112f);
  return ieee::FromBits(sign | ieee::Bits(value));
}

EVENKEEL_HD_INLINE uint16_t HalfFromFloat(float value) {
  const uint32_t bits = ieee::Bits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = ieee::Abs(value);
  if (value != value) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x1p-14f) {
    // The last place of 0.5 is 2^-24, that of a subnormal half: adding rounds to it.
    return static_cast<uint16_t>(sign | (ieee::Bits(ieee::Add(magnitude, 0.5f)) - 0x3f000000u));
  }
  const uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

}  // namespace evenkeel::routing
