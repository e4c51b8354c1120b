// The order of all selection here, (value descending, index ascending), for a few values at a time.

#include <array>

#include "kernels/routing/cpu/simd-inl.h"

#if defined(EVENKEEL_ORDER_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ORDER_INL
#undef EVENKEEL_ORDER_INL
#else
#define EVENKEEL_ORDER_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

// Integers in the order of the floats, equal where these are, -0 and +0 too; none is NaN.
HWY_INLINE Integer Ordered(Float values) {
  const Integer bits = hn::BitCast(kInteger, hn::Add(values, hn::Zero(kFloat)));
  const Integer magnitude = hn::ShiftRight<31>(bits);  // all ones where negative
  return hn::Xor(bits, hn::And(magnitude, hn::Set(kInteger, 0x7fffffff)));
}

// Before and after everything Ordered() answers for a number.
inline constexpr int32_t kOrderedLast = INT32_MIN;

// Zeros, and as many ones.
struct Steps {
  alignas(64) int32_t values[2 * kWidth];
};

constexpr Steps MakeSteps() {
  Steps steps = {};
  for (int i = kWidth; i < 2 * kWidth; ++i) steps.values[i] = 1;
  return steps;
}

inline constexpr Steps kSteps = MakeSteps();

// How many of ordered[0 .. count - 1] come before each of the kWidth values from `begin` on: where these stand when all
// are sorted. Reads whole registers.
HWY_INLINE Integer Ranks(const int32_t* ordered, int count, int begin) {
  const Integer values = hn::LoadU(kInteger, ordered + begin);
  Integer ranks = hn::Zero(kInteger);
  for (int j = 0; j < count; ++j) {
    // Of equals the one of lower index comes first: j counts as greater in the lanes behind it.
    const int lane = HWY_MAX(-1, HWY_MIN(j - begin, kWidth - 1));
    const Integer behind = hn::LoadU(kInteger, kSteps.values + kWidth - 1 - lane);
    const Integer other = hn::Add(hn::Set(kInteger, ordered[j]), behind);
    ranks = Count(hn::Gt(other, values), ranks);
  }
  return ranks;
}

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
template <class D>
HWY_INLINE hn::Vec<D> Compress(D d, hn::Vec<D> values, Mask mask) {
  return hn::Compress(values, hn::RebindMask(d, mask));
}
#else
// Lane numbers by mask bits: of the set bits, ascending, and then of lane 0.
using LaneNumbers = std::array<std::array<uint8_t, kWidth>, 1 << kWidth>;

constexpr LaneNumbers MakeLaneNumbers() {
  LaneNumbers numbers = {};
  for (int bits = 0; bits < (1 << kWidth); ++bits) {
    int count = 0;
    for (int lane = 0; lane < kWidth; ++lane) {
      if (bits >> lane & 1) numbers[bits][count++] = static_cast<uint8_t>(lane);
    }
  }
  return numbers;
}

inline constexpr LaneNumbers kLaneNumbers = MakeLaneNumbers();

// Highway's own keeps its table on the stack, where GCC 12 fills it in at every call.
template <class D>
HWY_INLINE hn::Vec<D> Compress(D d, hn::Vec<D> values, Mask mask) {
  uint8_t bits[8] = {};
  hn::StoreMaskBits(kFloat, mask, bits);
  const hn::Rebind<uint8_t, WordTag> narrow;
  const Word lanes = hn::PromoteTo(kWord, hn::LoadU(narrow, kLaneNumbers[bits[0]].data()));
  return hn::TableLookupLanes(values, hn::IndicesFromVec(d, lanes));
}
#endif

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
