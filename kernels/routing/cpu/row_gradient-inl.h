// The gradient of one row, slot by slot, a register of slots at a time; see route_backward.h.

#include "kernels/routing/cpu/backward_workspace.h"
#include "kernels/routing/cpu/row_scores-inl.h"
#include "kernels/routing/cpu/row_weights-inl.h"
#include "kernels/routing/cpu/simd-inl.h"
#include "kernels/routing/route_spec.h"

#if defined(EVENKEEL_ROW_GRADIENT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_ROW_GRADIENT_INL
#undef EVENKEEL_ROW_GRADIENT_INL
#else
#define EVENKEEL_ROW_GRADIENT_INL
#endif

#if EVENKEEL_SIMD
HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

#include "kernels/routing/derivative-inl.h"

using IdTag = hn::RebindToSigned<FloatTag>;
inline constexpr IdTag kId;

HWY_INLINE Mask IsDead(const int32_t* ids) {
  return hn::RebindMask(kFloat, hn::Lt(hn::LoadU(kId, ids), hn::Zero(kId)));
}

// The LaneSum of a[s] * b[s] over the slots.
HWY_INLINE float SumOfProducts(int top_k, const float* a, const float* b) {
  const Block left = LoadSlots(top_k, a);
  const Block right = LoadSlots(top_k, b);
  Block products;
  for (int r = 0; r < kBlockRegisters; ++r) {
    products.registers[r] = ieee::Mul(left.registers[r], right.registers[r]);
  }
  return SumOfBlock(products);
}

struct SigmoidDifferentiated {
  HWY_INLINE ValueAndDerivative operator()(Float x) const { return DifferentiateSigmoid(x); }
};

struct SqrtSoftplusDifferentiated {
  HWY_INLINE ValueAndDerivative operator()(Float x) const { return DifferentiateSqrtSoftplus(x); }
};

struct LogitDifferentiated {
  HWY_INLINE ValueAndDerivative operator()(Float x) const { return {x, ieee::Constant(1.0f)}; }
};

template <class Function>
HWY_INLINE void Differentiate(Function function, const RouteSpec& spec, BackwardRow* row) {
  const bool scaled_already = !WeightsAreScaled(spec);
  const Float scale = ieee::Constant(spec.scale);
  for (int i = 0; i < spec.top_k; i += kWidth) {
    const ValueAndDerivative y = function(Load(row->x + i));
    Store(scaled_already ? ieee::Mul(y.value, scale) : y.value, row->u + i);
    Store(scaled_already ? ieee::Mul(y.derivative, scale) : y.derivative, row->derivatives + i);
  }
}

// Makes u and y' of x, where each expert's weight is made of its own logit.
HWY_INLINE void DifferentiateScores(const RouteSpec& spec, BackwardRow* row) {
  if (spec.weight == Weight::kSigmoidOfSelected || spec.score == routing::Score::kSigmoid) {
    Differentiate(SigmoidDifferentiated(), spec, row);
  } else if (spec.score == routing::Score::kSqrtSoftplus) {
    Differentiate(SqrtSoftplusDifferentiated(), spec, row);
  } else {
    Differentiate(LogitDifferentiated(), spec, row);
  }
}

// Makes p and u of x, where the weights are the softmax of the chosen.
HWY_INLINE void SoftmaxOfChosen(int top_k, BackwardRow* row) {
  __builtin_memcpy(row->p, row->x, sizeof(row->p));
  const Float total = ieee::Constant(SlotExponentials(top_k, row->p));
  for (int i = 0; i < top_k; i += kWidth) {
    const Float p = ieee::Div(Load(row->p + i), total);
    Store(p, row->p + i);
    Store(p, row->u + i);
  }
}

// Makes p and u of the chosen experts' exponentials, which p holds, where the weights are the softmax over all.
HWY_INLINE void SoftmaxOfAll(const RouteSpec& spec, BackwardRow* row) {
  const bool scaled_already = !WeightsAreScaled(spec);
  const Float total = ieee::Constant(row->total);
  const Float scale = ieee::Constant(spec.scale);
  for (int i = 0; i < spec.top_k; i += kWidth) {
    const Float p = ieee::Div(Load(row->p + i), total);
    Store(p, row->p + i);
    Store(scaled_already ? ieee::Mul(p, scale) : p, row->u + i);
  }
}

// A value that is not finite counts as 0, and its slot is dead.
HWY_INLINE void BuryDead(int top_k, BackwardRow* row) {
  for (int i = 0; i < top_k; i += kWidth) {
    const Float u = Load(row->u + i);
    const Mask dead = hn::Or(IsDead(row->ids + i), hn::Not(ieee::IsFinite(u)));
    Store(hn::IfThenZeroElse(dead, u), row->u + i);
    const auto ids = hn::LoadU(kId, row->ids + i);
    hn::StoreU(hn::IfThenElse(hn::RebindMask(kId, dead), hn::Set(kId, -1), ids), kId, row->ids + i);
  }
}

// Makes n of u.
HWY_INLINE void NormalizeSlots(const RouteSpec& spec, BackwardRow* row) {
  row->normalized = {1, true, false};
  if (spec.normalize) {
    const float sum = evenkeel::ieee::Add(SumOfSlots(spec.top_k, row->u), spec.normalize_epsilon);
    const float divisor = evenkeel::ieee::Max(spec.normalize_min, sum);
    row->normalized = {divisor, evenkeel::ieee::IsFinite(sum) && divisor > 0, sum >= spec.normalize_min};
  }
  const Float divisor = ieee::Constant(row->normalized.divisor);
  for (int i = 0; i < spec.top_k; i += kWidth) Store(ieee::Div(Load(row->u + i), divisor), row->n + i);
}

// Makes h, not yet centred, of the gradients by the weights, which it holds, and by the probabilities.
HWY_INLINE void CollectGradients(const RouteSpec& spec, BackwardRow* row) {
  const bool scaled = WeightsAreScaled(spec);
  const Float scale = ieee::Constant(spec.scale);
  for (int i = 0; i < spec.top_k; i += kWidth) {
    const Float g = ieee::Add(Load(row->h + i), Load(row->d_probabilities + i));
    Store(hn::IfThenZeroElse(IsDead(row->ids + i), scaled ? ieee::Mul(g, scale) : g), row->h + i);
  }
}

HWY_INLINE void Centre(int top_k, BackwardRow* row) {
  const Float mean = ieee::Constant(SumOfProducts(top_k, row->h, row->n));
  for (int i = 0; i < top_k; i += kWidth) {
    Store(hn::IfThenZeroElse(IsDead(row->ids + i), ieee::Sub(Load(row->h + i), mean)), row->h + i);
  }
}

// Each slot's expert by itself.
HWY_INLINE void ThroughScores(int top_k, BackwardRow* row) {
  const Float divisor = ieee::Constant(row->normalized.divisor);
  for (int i = 0; i < top_k; i += kWidth) {
    const Float slope = ieee::Div(Load(row->derivatives + i), divisor);
    Store(ieee::Mul(Load(row->h + i), slope), row->d_chosen + i);
  }
}

// The slots' experts through the softmax that p is.
HWY_INLINE void ThroughSoftmax(int top_k, BackwardRow* row) {
  row->sum_hn = SumOfProducts(top_k, row->h, row->n);
  const Float sum = ieee::Constant(row->sum_hn);
  for (int i = 0; i < top_k; i += kWidth) {
    const Float moved = ieee::Neg(ieee::Mul(Load(row->p + i), sum));
    Store(ieee::Fma(Load(row->h + i), Load(row->n + i), moved), row->d_chosen + i);
  }
}

// All experts, from exponentials to d_logits, as if none had been chosen; [padded].
HWY_INLINE void ThroughSoftmaxOfAll(int padded, BackwardRow* row) {
  const Float total = ieee::Constant(row->total);
  const Float sum = ieee::Constant(row->sum_hn);
  for (int i = 0; i < padded; i += kWidth) {
    const Float p = ieee::Div(Load(row->experts + i), total);
    Store(ieee::Sub(ieee::Constant(0.0f), ieee::Mul(p, sum)), row->experts + i);
  }
}

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // EVENKEEL_SIMD
#endif  // include guard of a target
