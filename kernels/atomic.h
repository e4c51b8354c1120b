#pragma once

#include <cstdint>

#include "kernels/ieee.h"

// What threads do to one number at the same time, on the device and on the host. No order with anything else is
// promised.
namespace evenkeel {

EVENKEEL_HD_INLINE void AtomicAdd(uint32_t* to, uint32_t addend) {
#ifdef __CUDA_ARCH__
  atomicAdd(to, addend);
#else
  __atomic_fetch_add(to, addend, __ATOMIC_RELAXED);
#endif
}

// A signed total grows as an unsigned one does.
template <typename Total>
EVENKEEL_HD_INLINE void AtomicAdd64(Total* to, uint64_t addend) {
  static_assert(sizeof(Total) == sizeof(uint64_t), "a total has 64 bits");
#ifdef __CUDA_ARCH__
  atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(addend));
#else
  __atomic_fetch_add(to, static_cast<Total>(addend), __ATOMIC_RELAXED);
#endif
}

// Returns what was there before.
EVENKEEL_HD_INLINE uint32_t AtomicOr(uint32_t* to, uint32_t bits) {
#ifdef __CUDA_ARCH__
  return atomicOr(to, bits);
#else
  return __atomic_fetch_or(to, bits, __ATOMIC_RELAXED);
#endif
}

}  // namespace evenkeel
