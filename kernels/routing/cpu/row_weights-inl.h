// The weights of the chosen experts, one row, as route.h says.

#include "kernels/routing/cpu/row_workspace.h"
#include "kernels/routing/cpu/simd-inl.h"
#include "kernels/routing/route_spec.h"

#if defined(EVENKEEL_ROW_WEIGHTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_WEIGHTS_INL
#undef EVENKEEL_ROW_WEIGHTS_INL
#else
#define EVENKEEL_ROW_WEIGHTS_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

// Registers that hold top_k slots.
HWY_INLINE int SlotRegisters(int top_k) { return (top_k + kWidth - 1) / kWidth; }

// `to` becomes the values of the slots' experts; `absent` where there is none, and in the rest of the last register.
HWY_INLINE void Gather(const float* values, const int32_t* ids, int top_k, float absent, float* to) {
  Store(ieee::Constant(absent), to + (SlotRegisters(top_k) - 1) * kWidth);
  for (int slot = 0; slot < top_k; ++slot) to[slot] = ids[slot] < 0 ? absent : values[ids[slot]];
}

template <class Function>
HWY_INLINE void Apply(Function function, int top_k, float* slots) {
  for (int r = 0; r < SlotRegisters(top_k); ++r) Store(function(Load(slots + r * kWidth)), slots + r * kWidth);
}

struct ExponentialFrom {
  Float origin;
  HWY_INLINE Float operator()(Float x) const { return ExpOfDifference(x, origin); }
};

// The slots as a block: +0 behind the last register that they need.
HWY_INLINE Block LoadSlots(int top_k, const float* slots) {
  Block block;
  for (int r = 0; r < kBlockRegisters; ++r) {
    block.registers[r] = r < SlotRegisters(top_k) ? Load(slots + r * kWidth) : hn::Zero(kFloat);
  }
  return block;
}

HWY_INLINE float SumOfSlots(int top_k, const float* slots) { return SumOfBlock(LoadSlots(top_k, slots)); }

// RowExponentials of the slots: as many registers as they need.
HWY_INLINE float SlotExponentials(int top_k, float* slots) {
  Float maxima = Load(slots);
  for (int r = 1; r < SlotRegisters(top_k); ++r) maxima = ieee::Max(maxima, Load(slots + r * kWidth));
  Apply(ExponentialFrom{LargestLane(maxima)}, top_k, slots);
  return SumOfSlots(top_k, slots);
}

struct FiniteOrZero {
  HWY_INLINE Float operator()(Float x) const { return hn::IfThenElseZero(ieee::IsFinite(x), x); }
};

struct ProductWith {
  Float factor;
  HWY_INLINE Float operator()(Float x) const { return ieee::Mul(x, factor); }
};

struct Zero {
  HWY_INLINE Float operator()(Float x) const { return ieee::Constant(0.0f); }
};

static_assert(kMaxSimdSlots == kLanes);

// First step: row->weights become the values that the weights are made of.
HWY_INLINE void GatherValues(const RouteSpec& spec, RowWorkspace* row) {
  switch (spec.weight) {
    case Weight::kScore:
      return Gather(row->scores, row->ids, spec.top_k, 0, row->weights);
    case Weight::kSoftmax:
      return Gather(row->exponentials, row->ids, spec.top_k, 0, row->weights);
    case Weight::kSoftmaxOfSelected:
    case Weight::kSigmoidOfSelected:
      // As a logit, minus infinity is the absence of an expert: its sigmoid and its softmax are 0.
      return Gather(row->logits, row->ids, spec.top_k, kNegativeInfinity, row->weights);
  }
}

// Unnormalised weights; behind top_k there are zeros.
HWY_INLINE void Weigh(const RouteSpec& spec, float exponential_sum, float* weights) {
  switch (spec.weight) {
    case Weight::kScore:
      return;
    case Weight::kSoftmax:
      return Apply(QuotientBy{ieee::Constant(exponential_sum)}, spec.top_k, weights);
    case Weight::kSoftmaxOfSelected: {
      const float sum = SlotExponentials(spec.top_k, weights);
      return Apply(QuotientBy{ieee::Constant(sum)}, spec.top_k, weights);
    }
    case Weight::kSigmoidOfSelected:
      return Apply(SigmoidOf(), spec.top_k, weights);
  }
}

HWY_INLINE void Normalize(const RouteSpec& spec, float* weights) {
  const float sum = evenkeel::ieee::Add(SumOfSlots(spec.top_k, weights), spec.normalize_epsilon);
  const float divisor = evenkeel::ieee::Max(spec.normalize_min, sum);
  if (evenkeel::ieee::IsFinite(sum) && divisor > 0) {
    Apply(QuotientBy{ieee::Constant(divisor)}, spec.top_k, weights);
  } else {
    Apply(Zero(), spec.top_k, weights);
  }
}

// Second step: the weights.
HWY_INLINE void WeighRow(const RouteSpec& spec, RowWorkspace* row) {
  Weigh(spec, row->exponential_sum, row->weights);
  Apply(FiniteOrZero(), spec.top_k, row->weights);
  if (spec.normalize) Normalize(spec, row->weights);
  if (WeightsAreScaled(spec)) Apply(ProductWith{ieee::Constant(spec.scale)}, spec.top_k, row->weights);
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
