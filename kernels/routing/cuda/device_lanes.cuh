#pragma once

#include <cstdint>

#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/derivative.h"
#include "kernels/routing/forced_balance.h"
#include "kernels/routing/half.h"
#include "kernels/routing/warp/approximations.h"

// One lane of a warp of a GPU: what row-inl.h is made of. All 32 lanes call together. ieee:: and the arithmetic are
// those of a number.
namespace evenkeel::routing::device {

#define EVENKEEL_WARP __device__ __forceinline__
#define EVENKEEL_UNROLL _Pragma("unroll")
#define EVENKEEL_NO_UNROLL _Pragma("unroll 1")

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
// Never a branch, which would part lanes that shuffle what they choose.
EVENKEEL_WARP Float Choose(Mask condition, Float yes, Float no) {
  float chosen;
  asm("{ .reg .pred p; setp.ne.u32 p, %3, 0; selp.f32 %0, %1, %2, p; }"
      : "=f"(chosen)
      : "f"(yes), "f"(no), "r"(static_cast<uint32_t>(condition)));
  return chosen;
}
EVENKEEL_WARP Float MaxNumber(Float a, Float b) { return fmaxf(a, b); }

EVENKEEL_WARP Float MinOrNan(Float a, Float b) {
  float least;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(least) : "f"(a), "f"(b));
  return least;
}

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
EVENKEEL_WARP Word SetBit(Word bits, int r, Mask mask) {
  asm("{ .reg .pred p; setp.ne.u32 p, %1, 0; @p or.b32 %0, %0, %2; }"
      : "+r"(bits)
      : "r"(static_cast<uint32_t>(mask)), "r"(1u << r));
  return bits;
}
EVENKEEL_WARP Word HighestBit(Word bits) {
  uint32_t number;
  asm("bfind.u32 %0, %1;" : "=r"(number) : "r"(bits));
  return number;
}
EVENKEEL_WARP Word ClearBit(Word bits, Word r) { return bits & ~(1u << r); }
// Two instructions, where the compiler makes three.
EVENKEEL_WARP Word CountGreater(Word count, Word a, Word b) {
  asm("{ .reg .pred p; setp.gt.u32 p, %1, %2; @p add.u32 %0, %0, 1; }" : "+r"(count) : "r"(a), "r"(b));
  return count;
}

EVENKEEL_WARP uint32_t Broadcast(Word a, int lane) { return __shfl_sync(kAll, a, lane); }
EVENKEEL_WARP Word BroadcastInHalf(Word a, int lane) { return __shfl_sync(kAll, a, lane, 16); }
EVENKEEL_WARP Word Shuffle(Word a, Word lane) { return __shfl_sync(kAll, a, lane); }
EVENKEEL_WARP Float ShuffleXor(Float a, int distance) { return __shfl_xor_sync(kAll, a, distance); }
EVENKEEL_WARP Word ShuffleXor(Word a, int distance) { return __shfl_xor_sync(kAll, a, distance); }

// The compiler would branch around what is one instruction under a predicate.
EVENKEEL_WARP Float Load(const float* from, Word index, Mask mask, float otherwise, int offset = 0) {
  asm("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p ld.global.f32 %0, [%1]; }"
      : "+f"(otherwise)
      : "l"(from + index + offset), "r"(static_cast<uint32_t>(mask)));
  return otherwise;
}

template <typename Integer>
EVENKEEL_WARP Word Load(const Integer* from, Word index, Mask mask, uint32_t otherwise, int offset = 0) {
  return mask ? static_cast<uint32_t>((from + index)[offset]) : otherwise;
}

EVENKEEL_WARP void Store(float* to, Word index, Float value, Mask mask, int offset = 0) {
  asm volatile("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p st.global.f32 [%0], %1; }"
               :
               : "l"(to + index + offset), "f"(value), "r"(static_cast<uint32_t>(mask))
               : "memory");
}

template <typename Integer>
EVENKEEL_WARP void Store(Integer* to, Word index, Word value, Mask mask, int offset = 0) {
  if (mask) (to + index)[offset] = static_cast<Integer>(static_cast<int32_t>(value));
}

template <typename Integer>
EVENKEEL_WARP Word LoadBelow(const Integer* from, Word index, Mask mask, uint32_t end, uint32_t otherwise) {
  const Integer value = mask ? from[index] : Integer{-1};
  return value >= 0 && value < static_cast<Integer>(end) ? static_cast<uint32_t>(value) : otherwise;
}

EVENKEEL_WARP void StoreZeroPiece(char* to, Word index, Mask mask) {
  if (mask) reinterpret_cast<uint4*>(to)[index] = make_uint4(0, 0, 0, 0);
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
  asm volatile("{ .reg .pred p; setp.ne.u32 p, %1, 0; @p red.shared.add.u32 [%0], 1; }"
               :
               : "r"(counts.address + 4 * index), "r"(static_cast<uint32_t>(mask))
               : "memory");
}

EVENKEEL_WARP void Sync(Shared) { __syncwarp(kAll); }
EVENKEEL_WARP void SyncStores() { __syncwarp(kAll); }

EVENKEEL_WARP Float FloatFromBFloat16(Word bits) { return ieee::FromBits(bits << 16); }
EVENKEEL_WARP Float FloatFromHalf(Word bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<uint16_t>(bits)));
  return value;
}
EVENKEEL_WARP Word BFloat16FromFloat(Float value) {
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
EVENKEEL_WARP Word HalfFromFloat(Float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

// approximations.h shows how good these are.
EVENKEEL_WARP Float ApproximateSigmoid(Float x) {
  float power;
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(ieee::Mul(x, -0x1.715476p0f)));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(ieee::Add(power, 1.0f)));
  return result;
}

EVENKEEL_WARP Float ApproximateReciprocal(Float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

EVENKEEL_WARP Float ApproximateSqrtSoftplus(Float x) {
  float power;
  float logarithm;
  float root;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(ieee::Mul(ieee::Abs(x), -0x1.715476p0f)));
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(logarithm) : "f"(ieee::Add(power, 1.0f)));
  const float softplus = ieee::Fma(logarithm, 0x1.62e43p-1f, MaxNumber(x, 0.0f));
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(ieee::Abs(softplus)));
  return root;
}

EVENKEEL_WARP Float RandomScore(uint64_t row_key, Word expert) {
  return routing::RandomScore(row_key, static_cast<int>(expert));
}

}  // namespace warp
}  // namespace evenkeel::routing::device
