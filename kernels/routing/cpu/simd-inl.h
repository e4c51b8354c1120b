// The operations of ieee.h over vectors of the Highway target that is being compiled, and on them the defined
// arithmetic. Include guard and namespace are a target's; see hwy/highway.h.

#include "kernels/ieee.h"
#include "kernels/routing/cpu/targets.h"
#include "kernels/routing/lane_sum.h"

#if defined(EVENKEEL_SIMD_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_SIMD_INL
#undef EVENKEEL_SIMD_INL
#else
#define EVENKEEL_SIMD_INL
#endif

// Whether this target multiplies and adds in one rounding. Where it does not there is no SIMD router, and this file
// defines nothing.
#undef EVENKEEL_SIMD
#if defined(HWY_NATIVE_FMA)
#define EVENKEEL_SIMD HWY_NATIVE_FMA
#elif HWY_ARCH_X86
#define EVENKEEL_SIMD (HWY_TARGET <= HWY_AVX2)  // of two targets the better one is the lower number
#else
#define EVENKEEL_SIMD (HWY_ARCH_ARM_A64 && HWY_TARGET == HWY_NEON)
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// At most half a row of LaneSum's lanes in a register; a power of two, at least 4.
using FloatTag = hn::CappedTag<float, kLanes / 2>;
using WordTag = hn::RebindToUnsigned<FloatTag>;
using Float = hn::Vec<FloatTag>;
using Word = hn::Vec<WordTag>;
using Mask = hn::Mask<FloatTag>;
using IntegerTag = hn::RebindToSigned<FloatTag>;
using Integer = hn::Vec<IntegerTag>;
inline constexpr FloatTag kFloat;
inline constexpr WordTag kWord;
inline constexpr IntegerTag kInteger;
inline constexpr int kWidth = hn::MaxLanes(kFloat);

// Hides evenkeel::ieee, whose operations on one number are these on all lanes.
namespace ieee {
HWY_INLINE Float Fma(Float a, Float b, Float c) { return hn::MulAdd(a, b, c); }
HWY_INLINE Float NegFma(Float a, Float b, Float c) { return hn::NegMulAdd(a, b, c); }
HWY_INLINE Float Add(Float a, Float b) { return hn::Add(a, b); }
HWY_INLINE Float Sub(Float a, Float b) { return hn::Sub(a, b); }
HWY_INLINE Float Mul(Float a, Float b) { return hn::Mul(a, b); }
HWY_INLINE Float Div(Float a, Float b) { return hn::Div(a, b); }
HWY_INLINE Float Sqrt(Float a) { return hn::Sqrt(a); }
HWY_INLINE Float Abs(Float a) { return hn::Abs(a); }
HWY_INLINE Float Neg(Float a) { return hn::Neg(a); }
HWY_INLINE Mask Less(Float a, Float b) { return hn::Lt(a, b); }
HWY_INLINE Float Select(Mask condition, Float yes, Float no) { return hn::IfThenElse(condition, yes, no); }
#if HWY_ARCH_X86
// The instruction answers its second operand where the two compare unordered or equal: so does ieee::Max its first.
HWY_INLINE Float Max(Float a, Float b) { return hn::Max(b, a); }
HWY_INLINE Float Min(Float a, Float b) { return hn::Min(b, a); }
#else
HWY_INLINE Float Max(Float a, Float b) { return Select(Less(a, b), b, a); }
HWY_INLINE Float Min(Float a, Float b) { return Select(Less(b, a), b, a); }
#endif
HWY_INLINE Word Bits(Float a) { return hn::BitCast(kWord, a); }
HWY_INLINE Float FromBits(Word a) { return hn::BitCast(kFloat, a); }
HWY_INLINE Float Constant(float a) { return hn::Set(kFloat, a); }
HWY_INLINE Word Constant(uint32_t a) { return hn::Set(kWord, a); }
HWY_INLINE Word Add(Word a, Word b) { return hn::Add(a, b); }
template <int kBits>
HWY_INLINE Word ShiftLeft(Word a) {
  return hn::ShiftLeft<kBits>(a);
}

// False for NaN and for both infinities.
HWY_INLINE Mask IsFinite(Float a) { return Less(hn::Abs(a), Constant(__builtin_inff())); }
}  // namespace ieee

#include "kernels/routing/arithmetic-inl.h"

HWY_INLINE Float Load(const float* from) { return hn::LoadU(kFloat, from); }
HWY_INLINE void Store(Float value, float* to) { hn::StoreU(value, kFloat, to); }

inline constexpr float kNegativeInfinity = -__builtin_inff();

// The greatest lane in every lane; no lane is NaN.
HWY_INLINE Float LargestLane(Float a) { return hn::MaxOfLanes(kFloat, a); }

// Adds 1 in the lanes of the mask.
HWY_INLINE Integer Count(hn::Mask<IntegerTag> mask, Integer counts) {
  return hn::Sub(counts, hn::VecFromMask(kInteger, mask));
}

// Folds lane l onto lane l + d, for d from half of D's lanes down to 1.
template <class D>
HWY_INLINE float FoldLanes(D d, hn::Vec<D> lanes) {
  if constexpr (hn::MaxLanes(d) == 4) {
    lanes = hn::Add(lanes, hn::Shuffle1032(lanes));
    lanes = hn::Add(lanes, hn::Shuffle2301(lanes));
    return hn::GetLane(lanes);
  } else {
    const hn::Half<D> half;
    return FoldLanes(half, hn::Add(hn::LowerHalf(half, lanes), hn::UpperHalf(half, lanes)));
  }
}

inline constexpr int kBlockRegisters = kLanes / kWidth;

// A block of kLanes values, as LaneSum (lane_sum.h) has them.
struct Block {
  Float registers[kBlockRegisters];
};

HWY_INLINE Block LoadBlock(const float* from) {
  Block block;
  for (int r = 0; r < kBlockRegisters; ++r) block.registers[r] = Load(from + r * kWidth);
  return block;
}

HWY_INLINE void StoreBlock(const Block& block, float* to) {
  for (int r = 0; r < kBlockRegisters; ++r) Store(block.registers[r], to + r * kWidth);
}

HWY_INLINE Block AddBlocks(const Block& a, const Block& b) {
  Block sum;
  for (int r = 0; r < kBlockRegisters; ++r) sum.registers[r] = ieee::Add(a.registers[r], b.registers[r]);
  return sum;
}

// LaneTree.
HWY_INLINE float SumOfBlock(Block block) {
  for (int count = kBlockRegisters / 2; count > 0; count /= 2) {
    for (int r = 0; r < count; ++r) {
      block.registers[r] = ieee::Add(block.registers[r], block.registers[r + count]);
    }
  }
  return FoldLanes(kFloat, block.registers[0]);
}

// LaneSum of values[0 .. size - 1], whole blocks of them. `scratch` has room for half as many, and may be overwritten.
HWY_INLINE float SumOfBlocks(const float* values, int size, float* scratch) {
  int blocks = size / kLanes;
  if (blocks == 1) return SumOfBlock(LoadBlock(values));
  for (int distance = FirstBlockDistance(blocks); distance > 0; distance /= 2) {
    for (int b = 0; b < distance; ++b) {
      const Block block = LoadBlock(values + b * kLanes);
      const bool has_other = b + distance < blocks;
      const Block sum = has_other ? AddBlocks(block, LoadBlock(values + (b + distance) * kLanes)) : block;
      StoreBlock(sum, scratch + b * kLanes);
    }
    values = scratch;
    blocks = distance;
  }
  return SumOfBlock(LoadBlock(scratch));
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
