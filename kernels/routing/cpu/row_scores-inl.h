// Logits to scores and keys, one row.

#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/simd-inl.h"
#include "kernels/routing/half.h"
#include "kernels/routing/route.h"

#if defined(EVENKEEL_ROW_SCORES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_SCORES_INL
#undef EVENKEEL_ROW_SCORES_INL
#else
#define EVENKEEL_ROW_SCORES_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

struct FromFloat {
  using Value = float;
  static HWY_INLINE Float LoadFloat(const float* from) { return Load(from); }
};

struct FromBFloat16 {
  using Value = uint16_t;
  static HWY_INLINE Float LoadFloat(const uint16_t* from) {
    const hn::Rebind<uint16_t, WordTag> narrow;
    return ieee::FromBits(ieee::ShiftLeft<16>(hn::PromoteTo(kWord, hn::LoadU(narrow, from))));
  }
};

struct FromHalf {
  using Value = uint16_t;
  static HWY_INLINE Float LoadFloat(const uint16_t* from) {
    const hn::Rebind<uint16_t, WordTag> narrow;
    const hn::Rebind<hwy::float16_t, FloatTag> half;
    return hn::PromoteTo(kFloat, hn::BitCast(half, hn::LoadU(narrow, from)));
  }
};

// Widens `size` values into `to`, and fills it to whole blocks with minus infinity. Reads nothing behind the values.
template <class From>
HWY_INLINE void Widen(const typename From::Value* from, int size, float* to) {
  int i = 0;
  for (; i + kWidth <= size; i += kWidth) Store(From::LoadFloat(from + i), to + i);
  if (i < size) {
    typename From::Value rest[kWidth] = {};
    __builtin_memcpy(rest, from + i, (size - i) * sizeof(rest[0]));
    Store(From::LoadFloat(rest), to + i);
  }
  for (i = size; i < Padded(size); ++i) to[i] = kNegativeInfinity;
}

// The logits of `row`, [Padded(num_experts)]: where they lie if they can be used so, else in `buffer`.
HWY_INLINE const float* RowLogits(const RouteInput& input, int64_t row, int num_experts, float* buffer) {
  const int64_t begin = row * input.logits_stride;
  switch (input.logits_dtype) {
    case DType::kF32: {
      const float* logits = static_cast<const float*>(input.logits) + begin;
      if (num_experts == Padded(num_experts)) return logits;
      Widen<FromFloat>(logits, num_experts, buffer);
      break;
    }
    case DType::kBF16:
      Widen<FromBFloat16>(static_cast<const uint16_t*>(input.logits) + begin, num_experts, buffer);
      break;
    case DType::kF16:
      Widen<FromHalf>(static_cast<const uint16_t*>(input.logits) + begin, num_experts, buffer);
      break;
  }
  return buffer;
}

// The row maximum in every lane. Of a row with a NaN it is whatever it may be.
HWY_INLINE Float RowMaximum(const float* logits, int padded) {
  Block maxima = LoadBlock(logits);
  for (int i = kLanes; i < padded; i += kLanes) {
    for (int r = 0; r < kBlockRegisters; ++r) {
      maxima.registers[r] = ieee::Max(maxima.registers[r], Load(logits + i + r * kWidth));
    }
  }
  for (int r = 1; r < kBlockRegisters; ++r) {
    maxima.registers[0] = ieee::Max(maxima.registers[0], maxima.registers[r]);
  }
  return LargestLane(maxima.registers[0]);
}

// e^(logit - row maximum), [padded]; answers their LaneSum, which is NaN where the row's softmax is. `scratch` is
// [padded] and overwritten; it may be that of the logits.
HWY_INLINE float RowExponentials(const float* logits, int padded, float* exponentials, float* scratch) {
  const Float maximum = RowMaximum(logits, padded);
  for (int i = 0; i < padded; i += kWidth) Store(ExpOfDifference(Load(logits + i), maximum), exponentials + i);
  return SumOfBlocks(exponentials, padded, scratch);
}

struct SigmoidOf {
  HWY_INLINE Float operator()(Float x) const { return Sigmoid(x); }
};

struct SqrtSoftplusOf {
  HWY_INLINE Float operator()(Float x) const { return SqrtSoftplus(x); }
};

struct QuotientBy {
  Float divisor;
  HWY_INLINE Float operator()(Float x) const { return ieee::Div(x, divisor); }
};

struct Itself {
  HWY_INLINE Float operator()(Float x) const { return x; }
};

HWY_INLINE Float Key(Float score, Float bias) {
  const Float biased = ieee::Add(score, bias);
  return ieee::Select(ieee::IsFinite(biased), biased, ieee::Constant(kNegativeInfinity));
}

template <class Function>
HWY_INLINE void Score(Function function, const float* in, const float* bias, int padded, RowWorkspace* row) {
  for (int i = 0; i < padded; i += kWidth) {
    const Float score = function(Load(in + i));
    Store(score, row->scores + i);
    Store(Key(score, Load(bias + i)), row->keys + i);
  }
}

template <class Function>
struct Scaled {
  Function function;
  Float scale;
  HWY_INLINE Float operator()(Float x) const { return ieee::Mul(function(x), scale); }
};

template <class Function>
HWY_INLINE void ScoreBy(Function function, const RouteSpec& spec, const float* in, const float* bias,
                        RowWorkspace* row) {
  const int padded = Padded(spec.num_experts);
  if (spec.scale_before_bias) {
    Score(Scaled<Function>{function, ieee::Constant(spec.scale)}, in, bias, padded, row);
  } else {
    Score(function, in, bias, padded, row);
  }
}

// The row's scores and keys. `bias` is [padded], minus infinity behind the last expert.
HWY_INLINE void ScoreRow(const RouteSpec& spec, const float* bias, RowWorkspace* row) {
  switch (spec.score) {
    case routing::Score::kSigmoid:
      return ScoreBy(SigmoidOf(), spec, row->logits, bias, row);
    case routing::Score::kSqrtSoftplus:
      return ScoreBy(SqrtSoftplusOf(), spec, row->logits, bias, row);
    case routing::Score::kSoftmax:
      return ScoreBy(QuotientBy{ieee::Constant(row->exponential_sum)}, spec, row->exponentials, bias, row);
    case routing::Score::kLogit:
      return ScoreBy(Itself(), spec, row->logits, bias, row);
  }
}

// A row without candidates.
HWY_INLINE void PoisonRow(int padded, RowWorkspace* row) {
  for (int i = 0; i < padded; i += kWidth) Store(ieee::Constant(kNegativeInfinity), row->keys + i);
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
