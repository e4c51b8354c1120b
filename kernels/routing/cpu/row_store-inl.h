// Rows of float32 on their way to a matrix of any type.

#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/simd-inl.h"
#include "kernels/routing/half.h"
#include "kernels/routing/route.h"

#if defined(EVENKEEL_ROW_STORE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_STORE_INL
#undef EVENKEEL_ROW_STORE_INL
#else
#define EVENKEEL_ROW_STORE_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

// matrix[begin .. begin + size - 1].
struct FloatRow {
  void* matrix;
  DType dtype;
  int64_t begin;
  int size;
};

HWY_INLINE void StoreZeros(const FloatRow& to) {
  if (to.dtype == DType::kF32) {
    __builtin_memset(static_cast<float*>(to.matrix) + to.begin, 0, to.size * sizeof(float));
  } else {
    __builtin_memset(static_cast<uint16_t*>(to.matrix) + to.begin, 0, to.size * sizeof(uint16_t));
  }
}

HWY_INLINE void StoreOne(float value, int at, const FloatRow& to) {
  if (to.dtype == DType::kF32) {
    static_cast<float*>(to.matrix)[to.begin + at] = value;
  } else {
    const uint16_t narrow = to.dtype == DType::kBF16 ? BFloat16FromFloat(value) : HalfFromFloat(value);
    static_cast<uint16_t*>(to.matrix)[to.begin + at] = narrow;
  }
}

struct ToFloat {
  using Value = float;
  static HWY_INLINE void StoreFloat(Float value, float* to) { Store(value, to); }
};

struct ToBFloat16 {
  using Value = uint16_t;
  static HWY_INLINE void StoreFloat(Float value, uint16_t* to) {
    const hn::Rebind<uint16_t, WordTag> narrow;
    const Word bits = ieee::Bits(value);
    const Word odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kWord, 1));
    const Word rounded = hn::Add(bits, hn::Add(hn::Set(kWord, 0x7fff), odd));
    const Word quiet = hn::Or(bits, hn::Set(kWord, 0x400000));
    const Word chosen = hn::IfThenElse(hn::RebindMask(kWord, hn::IsNaN(value)), quiet, rounded);
    hn::StoreU(hn::TruncateTo(narrow, hn::ShiftRight<16>(chosen)), narrow, to);
  }
};

struct ToHalf {
  using Value = uint16_t;
  static HWY_INLINE void StoreFloat(Float value, uint16_t* to) {
    const hn::Rebind<hwy::float16_t, FloatTag> half;
    const hn::Rebind<uint16_t, WordTag> narrow;
    hn::StoreU(hn::BitCast(narrow, hn::DemoteTo(half, value)), narrow, to);
  }
};

// from[0 .. size - 1] to `to`, and nothing behind it. `from` can be read to Padded(size).
template <class To>
HWY_INLINE void Narrow(const float* from, int size, typename To::Value* to) {
  int i = 0;
  for (; i + kWidth <= size; i += kWidth) To::StoreFloat(Load(from + i), to + i);
  if (i == size) return;
  typename To::Value rest[kWidth];
  To::StoreFloat(Load(from + i), rest);
  __builtin_memcpy(to + i, rest, (size - i) * sizeof(rest[0]));
}

HWY_INLINE void StoreAll(const float* from, const FloatRow& to) {
  switch (to.dtype) {
    case DType::kF32:
      return Narrow<ToFloat>(from, to.size, static_cast<float*>(to.matrix) + to.begin);
    case DType::kBF16:
      return Narrow<ToBFloat16>(from, to.size, static_cast<uint16_t*>(to.matrix) + to.begin);
    case DType::kF16:
      return Narrow<ToHalf>(from, to.size, static_cast<uint16_t*>(to.matrix) + to.begin);
  }
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
