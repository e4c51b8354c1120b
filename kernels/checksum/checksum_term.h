#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// What checksum.h adds up, for host and device.
namespace evenkeel::checksum {

// A word of any array, floats too.
typedef uint32_t __attribute__((may_alias)) Word;

// Word and index make one number, which goes through the finaliser of splitmix64: a bijection, and 0 stays 0. So no two
// words at an index have the same term, and 0 has none.
EVENKEEL_HD_INLINE uint64_t Term(uint32_t word, uint64_t index) {
  uint64_t bits = word == 0 ? 0 : index << 32 | word;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
  return bits ^ bits >> 31;
}

}  // namespace evenkeel::checksum
