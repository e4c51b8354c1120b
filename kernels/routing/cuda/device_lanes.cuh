#pragma once

#include <cstdint>

#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/forced_balance.h"
#include "kernels/routing/half.h"
#include "kernels/routing/warp/approximate_sigmoid.h"

// One lane of a warp of a GPU: what row-inl.h is made of. All 32 lanes call together. ieee:: and the arithmetic are
// those of a number.
namespace evenkeel::routing::device {

#define EVENKEEL_WARP __device__ __forceinline__
#define EVENKEEL_UNROLL _Pragma("unroll")

using Float = float;
using Word = uint32_t;
using Mask = bool;

// What a warp does together, and its memory; see emulated_lanes.h.
namespace warp {

inline constexpr uint32_t kAll = 0xffffffffu;

EVENKEEL_WARP Word LaneIndex() {
  uint32_t lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}

EVENKEEL_WARP Word Select(Mask condition, Word yes, Word no) { return condition ? yes : no; }
EVENKEEL_WARP Float MaxNumber(Float a, Float b) { return fmaxf(a, b); }

EVENKEEL_WARP uint32_t Ballot(Mask mask) { return __ballot_sync(kAll, mask); }
EVENKEEL_WARP int PopCount(uint32_t bits) { return __popc(bits); }
EVENKEEL_WARP Word PopCountBelow(uint32_t bits) {
  uint32_t below;
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(below));
  return __popc(bits & below);
}
EVENKEEL_WARP uint32_t MaxOf(Word a) { return __reduce_max_sync(kAll, a); }
EVENKEEL_WARP uint32_t MinOf(Word a) { return __reduce_min_sync(kAll, a); }
EVENKEEL_WARP uint32_t SumOf(Word a) { return __reduce_add_sync(kAll, a); }
// Two instructions, where the compiler makes three.
EVENKEEL_WARP Word CountGreater(Word count, Word a, Word b) {
  asm("{ .reg .pred p; setp.gt.u32 p, %1, %2; @p add.u32 %0, %0, 1; }" : "+r"(count) : "r"(a), "r"(b));
  return count;
}

EVENKEEL_WARP uint32_t Broadcast(Word a, int lane) { return __shfl_sync(kAll, a, lane); }
EVENKEEL_WARP Float ShuffleXor(Float a, int distance) { return __shfl_xor_sync(kAll, a, distance); }

EVENKEEL_WARP Float Load(const float* from, Word index, Mask mask, float otherwise, int offset = 0) {
  return mask ? (from + index)[offset] : otherwise;
}

template <typename Integer>
EVENKEEL_WARP Word Load(const Integer* from, Word index, Mask mask, uint32_t otherwise, int offset = 0) {
  return mask ? static_cast<uint32_t>((from + index)[offset]) : otherwise;
}

EVENKEEL_WARP void Store(float* to, Word index, Float value, Mask mask, int offset = 0) {
  if (mask) (to + index)[offset] = value;
}

template <typename Integer>
EVENKEEL_WARP void Store(Integer* to, Word index, Word value, Mask mask, int offset = 0) {
  if (mask) (to + index)[offset] = static_cast<Integer>(static_cast<int32_t>(value));
}

// Shared memory by its address, in a register. The compiler would sooner compute it anew at every access.
struct Shared {
  uint32_t address;
};

EVENKEEL_WARP Shared SharedAt(uint32_t* memory) {
  Shared shared;
  asm volatile("mov.u32 %0, %1;" : "=r"(shared.address) : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(memory))));
  return shared;
}

EVENKEEL_WARP Shared operator+(Shared shared, int words) { return {shared.address + 4 * words}; }

EVENKEEL_WARP Word Load(Shared from, Word index, Mask mask, uint32_t otherwise) {
  if (mask) asm volatile("ld.shared.u32 %0, [%1];" : "=r"(otherwise) : "r"(from.address + 4 * index) : "memory");
  return otherwise;
}

EVENKEEL_WARP void Store(Shared to, Word index, Word value, Mask mask) {
  if (mask) asm volatile("st.shared.u32 [%0], %1;" : : "r"(to.address + 4 * index), "r"(value) : "memory");
}

EVENKEEL_WARP void Increment(Shared counts, Word index, Mask mask) {
  if (mask) asm volatile("red.shared.add.u32 [%0], 1;" : : "r"(counts.address + 4 * index) : "memory");
}

EVENKEEL_WARP void Sync(Shared) { __syncwarp(kAll); }
EVENKEEL_WARP void SyncStores() { __syncwarp(kAll); }

EVENKEEL_WARP Float FloatFromBFloat16(Word bits) { return ieee::FromBits(bits << 16); }
EVENKEEL_WARP Float FloatFromHalf(Word bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<uint16_t>(bits)));
  return value;
}
EVENKEEL_WARP Word BFloat16FromFloat(Float value) { return routing::BFloat16FromFloat(value); }
EVENKEEL_WARP Word HalfFromFloat(Float value) { return routing::HalfFromFloat(value); }

// Within kApproximateSigmoidError of Sigmoid, as approximate_sigmoid.h shows.
EVENKEEL_WARP Float ApproximateSigmoid(Float x) {
  float power;
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(ieee::Mul(x, -0x1.715476p0f)));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(ieee::Add(power, 1.0f)));
  return result;
}

EVENKEEL_WARP Float RandomScore(uint64_t row_key, Word expert) {
  return routing::RandomScore(row_key, static_cast<int>(expert));
}

}  // namespace warp
}  // namespace evenkeel::routing::device
