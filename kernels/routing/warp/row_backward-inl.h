// The gradients of rows by the contract of route_backward.h, whose names these are, a warp a row and a lane a slot.
// Text for the lanes of a warp, included as row-inl.h is, where there is derivative-inl.h too.

// Each needs those before it.
// clang-format off
#include "kernels/routing/warp/row_floats-inl.h"
#include "kernels/routing/warp/row_scores-inl.h"
#include "kernels/routing/warp/row_slots-inl.h"
// clang-format on

// Each slot of a row as the caller has it.
struct GivenSlots {
  Word ids;      // kNoExpert in short slots
  Float logits;  // of the experts; minus infinity in short slots
  Float g;       // 0 in short slots
};

EVENKEEL_WARP Word LoadIds(const BackwardPlan& plan, int64_t row) {
  const Word lane = warp::LaneIndex();
  const Mask slots = lane < static_cast<uint32_t>(plan.spec.top_k);
  const uint32_t num_experts = plan.spec.num_experts;
  const int64_t begin = row * plan.input.ids_stride;
  if (plan.input.id_type == IdType::kInt32) {
    return warp::LoadBelow(static_cast<const int32_t*>(plan.input.ids) + begin, lane, slots, num_experts, kNoExpert);
  }
  return warp::LoadBelow(static_cast<const int64_t*>(plan.input.ids) + begin, lane, slots, num_experts, kNoExpert);
}

EVENKEEL_WARP GivenSlots LoadSlots(const BackwardPlan& plan, int64_t row) {
  const RouteBackwardInput& input = plan.input;
  GivenSlots slots;
  slots.ids = LoadIds(plan, row);
  const Mask named = IsExpert(plan, slots.ids);
  LoadLogits<1>(plan, row, slots.ids, &slots.logits);
  slots.g = 0.0f;
  if (input.d_weights != nullptr) {
    const Word place = warp::Select(named, warp::LaneIndex(), kNoExpert);
    LoadFloats<1>(input.d_weights, input.d_weights_dtype, row * input.d_weights_stride, plan.spec.top_k, place, 0.0f,
                  &slots.g);
  }
  Float dense = 0.0f;
  if (input.d_probabilities != nullptr) {
    dense = warp::Load(input.d_probabilities + row * input.d_probabilities_stride, slots.ids, named, 0.0f);
  }
  slots.g = ieee::Add(slots.g, dense);
  return slots;
}

// What the forward pass made of the slots.
struct MadeSlots {
  Mask alive;
  Float moves;  // p, where a softmax was gathered; else y', times the scale that u has in it
  Float n;      // 0 in dead slots
  Normalizer normalizer;
};

EVENKEEL_WARP bool GatheredASoftmax(const BackwardPlan& plan) {
  return plan.gathered == Gathered::kSoftmaxOfSelected || plan.gathered == Gathered::kSoftmaxOfAll;
}

// Makes u, and what it moves by.
EVENKEEL_WARP void GatherValues(const BackwardPlan& plan, const RowSoftmax& softmax, Mask slots, Float logits, Float* u,
                                Float* moves) {
  switch (plan.gathered) {
    case Gathered::kSigmoid: {
      const auto y = DifferentiateSigmoid(logits);
      *u = y.value;
      *moves = y.derivative;
      break;
    }
    case Gathered::kSqrtSoftplus: {
      const auto y = DifferentiateSqrtSoftplus(logits);
      *u = y.value;
      *moves = y.derivative;
      break;
    }
    case Gathered::kLogit:
      *u = logits;
      *moves = 1.0f;
      break;
    case Gathered::kSoftmaxOfSelected:
      *u = *moves = SoftmaxOfSlots(slots, logits);
      break;
    case Gathered::kSoftmaxOfAll:
      *u = *moves = DivideWhere(slots, ExpOfDifference(logits, softmax.maximum), softmax.sum);
      break;
  }
  if (plan.scales_weights) return;
  *u = ieee::Mul(*u, plan.spec.scale);
  if (!GatheredASoftmax(plan)) *moves = ieee::Mul(*moves, plan.spec.scale);
}

EVENKEEL_WARP MadeSlots MakeSlots(const BackwardPlan& plan, const RowSoftmax& softmax, const GivenSlots& given) {
  MadeSlots made;
  const Mask named = IsExpert(plan, given.ids);
  Float u;
  GatherValues(plan, softmax, named, given.logits, &u, &made.moves);
  made.alive = named & ieee::IsFinite(u);
  made.n = ieee::Select(made.alive, u, 0.0f);
  made.normalizer = {1.0f, true, false};
  if (plan.spec.normalize) {
    made.normalizer = NormalizerOf(plan.spec, made.n);
    made.n = DivideWhere(made.alive, made.n, made.normalizer.divisor);
  }
  return made;
}

// The gradients of a row.
struct RowGradient {
  bool usable;   // where not, all of them are 0
  Word ids;      // of the slots that are not dead; kNoExpert in others
  Float chosen;  // of the slots' experts
  Float sum_hn;  // H, where a softmax was gathered
};

EVENKEEL_WARP RowGradient TakeBackSlots(const BackwardPlan& plan, const RowSoftmax& softmax, const GivenSlots& given) {
  const MadeSlots made = MakeSlots(plan, softmax, given);
  Float h = plan.scales_weights ? ieee::Mul(given.g, plan.spec.scale) : given.g;
  h = ieee::Select(made.alive, h, 0.0f);
  if (plan.spec.normalize) {
    const Float mean = SumOfLanes(ieee::Mul(h, made.n));
    h = ieee::Select(made.alive & made.normalizer.is_sum, ieee::Sub(h, mean), h);
  }
  RowGradient gradient;
  gradient.usable = warp::Ballot(made.normalizer.usable) != 0;
  gradient.ids = warp::Select(made.alive, given.ids, kNoExpert);
  if (GatheredASoftmax(plan)) {
    gradient.sum_hn = SumOfLanes(ieee::Mul(h, made.n));
    gradient.chosen = ieee::Fma(h, made.n, ieee::Neg(ieee::Mul(made.moves, gradient.sum_hn)));
  } else {
    gradient.sum_hn = 0.0f;
    gradient.chosen = ieee::Mul(h, DivideWhere(made.alive, made.moves, made.normalizer.divisor));
  }
  return gradient;
}

// Of experts by `first`; see row_scores-inl.h.
template <int R>
EVENKEEL_WARP void StoreDLogits(const BackwardPlan& plan, int64_t row, Word first, const Float* d_logits) {
  StoreFloats<R>(plan.output.d_logits, plan.output.d_logits_dtype, row * plan.output.d_logits_stride,
                 plan.spec.num_experts, first, d_logits);
}

EVENKEEL_WARP void StoreZeros(const BackwardPlan& plan, int64_t row) {
  if (plan.zero_pieces == 0) {
    const Float zero = 0.0f;
    for (int r = 0; 32 * r < plan.spec.num_experts; ++r) {
      StoreDLogits<1>(plan, row, Expert(warp::LaneIndex(), r), &zero);
    }
    return;
  }
  const int element = plan.output.d_logits_dtype == DType::kF32 ? 4 : 2;
  char* to = static_cast<char*>(plan.output.d_logits) + row * plan.output.d_logits_stride * element;
  for (int first = 0; first < plan.zero_pieces; first += 32) {
    const Word piece = warp::LaneIndex() + static_cast<uint32_t>(first);
    warp::StoreZeroPiece(to, piece, piece < static_cast<uint32_t>(plan.zero_pieces));
  }
}

// A row whose weights are made of the chosen logits alone: zeros, which wait for nothing, and then those that are none.
EVENKEEL_WARP void TakeBackChosen(const BackwardPlan& plan, int64_t row) {
  StoreZeros(plan, row);
  const RowGradient gradient = TakeBackSlots(plan, RowSoftmax(), LoadSlots(plan, row));
  warp::SyncStores();
  if (gradient.usable) StoreDLogits<1>(plan, row, gradient.ids, &gradient.chosen);
}

// A row whose weights are made of its softmax over all experts.
template <int R>
EVENKEEL_WARP void TakeBackSoftmax(const BackwardPlan& plan, int64_t row) {
  const GivenSlots given = LoadSlots(plan, row);
  Float values[R];
  LoadRow<R>(plan, row, values);
  const RowSoftmax softmax = SoftmaxOfRow<R>(values, values);
  const RowGradient gradient = TakeBackSlots(plan, softmax, given);
  const bool poisoned = warp::Ballot(ieee::IsFinite(softmax.sum)) == 0;
  if (poisoned || !gradient.usable) return StoreZeros(plan, row);
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Float p = DivideWhere(IsExpert(plan, Expert(warp::LaneIndex(), r)), values[r], softmax.sum);
    values[r] = ieee::Sub(0.0f, ieee::Mul(p, gradient.sum_hn));
  }
  StoreDLogits<R>(plan, row, warp::LaneIndex(), values);
  warp::SyncStores();
  StoreDLogits<1>(plan, row, gradient.ids, &gradient.chosen);
}

// Takes back rows first, first + step, ... . R is BackwardRegisters.
template <int R>
EVENKEEL_WARP void TakeBackRows(const BackwardPlan& plan, int64_t first, int64_t step) {
  for (int64_t row = first; row < plan.input.rows; row += step) {
    if constexpr (R == 0) {
      TakeBackChosen(plan, row);
    } else {
      TakeBackSoftmax<R>(plan, row);
    }
  }
}
