// Logits to scores and keys. Text for the lanes of a warp; row-inl.h says where it may be included.
//
// A row lies in R registers: register r of lane l is expert 32 r + l, which is value l of block r of lane_sum.h. What
// takes experts by `first` has expert first + 32 r in its register r, and none where that is no expert's number.

inline constexpr float kNegativeInfinity = -__builtin_inff();

inline constexpr uint32_t kNoExpert = 0xffffffffu;  // -1 as an id

EVENKEEL_WARP Word Expert(Word first, int r) { return Element(first, r); }

template <class Plan>
EVENKEEL_WARP Mask IsExpert(const Plan& plan, Word expert) {
  return expert < static_cast<uint32_t>(plan.spec.num_experts);
}

// Minus infinity where there is no expert.
template <int R, bool kWhole = false, class Plan>
EVENKEEL_WARP void LoadLogits(const Plan& plan, int64_t row, Word first, Float* logits) {
  LoadFloats<R, kWhole>(plan.input.logits, plan.input.logits_dtype, row * plan.input.logits_stride,
                        plan.spec.num_experts, first, kNegativeInfinity, logits);
}

// Of all experts, from lane to lane.
template <int R, class Plan>
EVENKEEL_WARP void LoadRow(const Plan& plan, int64_t row, Float* logits) {
  if (plan.spec.num_experts == 32 * R) {
    LoadLogits<R, true>(plan, row, warp::LaneIndex(), logits);
  } else {
    LoadLogits<R>(plan, row, warp::LaneIndex(), logits);
  }
}

// A bias that is not finite makes no candidate, and so does that of no expert: minus infinity. Zero is +0, so that a
// biased score is never -0.
template <int R>
EVENKEEL_WARP void LoadBias(const RoutePlan& plan, Word first, Float* bias) {
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) {
    const Mask is_expert = IsExpert(plan, Expert(first, r));
    bias[r] = ieee::Select(is_expert, 0.0f, kNegativeInfinity);
    if (plan.input.bias == nullptr) continue;
    const Float given = ieee::Add(warp::Load(plan.input.bias, first, is_expert, kNegativeInfinity, 32 * r), 0.0f);
    bias[r] = ieee::Select(ieee::IsFinite(given), given, kNegativeInfinity);
  }
}

// Integers in the order of the floats; -0 comes before +0, and 0 before everything but a NaN.
EVENKEEL_WARP Word Ordered(Float value) {
  const Word bits = ieee::Bits(value);
  return bits ^ warp::Select(bits < 0x80000000u, 0x80000000u, 0xffffffffu);
}

EVENKEEL_WARP Float FromOrdered(Word order) {
  return ieee::FromBits(order ^ warp::Select(order < 0x80000000u, 0xffffffffu, 0x80000000u));
}

// Before every finite value, and after minus infinity.
inline constexpr uint32_t kOrderedFirst = 0x00800000u;

// The greatest of the registers, lane by lane; minus infinity where there is no number.
template <int R>
EVENKEEL_WARP Float LaneMaxima(const Float* values) {
  Float most = kNegativeInfinity;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) most = warp::MaxNumber(most, values[r]);
  return most;
}

// LaneTree of lane_sum.h: addition commutes, so every lane comes to the bits of lane 0.
EVENKEEL_WARP Float SumOfLanes(Float lanes) {
  EVENKEEL_UNROLL
  for (int d = 16; d > 0; d /= 2) lanes = ieee::Add(lanes, warp::ShuffleXor(lanes, d));
  return lanes;
}

constexpr int FirstDistance(int registers) {
  return registers > 16 ? 16 : registers > 8 ? 8 : registers > 4 ? 4 : registers > 2 ? 2 : 1;
}

// LaneSum, in every lane, of values that are not -0. Overwrites the registers. Those behind the row are +0, which
// changes nothing.
template <int R, int kDistance = FirstDistance(R)>
EVENKEEL_WARP Float SumOfRow(Float* values) {
  if constexpr (kDistance == 0) {
    return SumOfLanes(values[0]);
  } else {
    EVENKEEL_UNROLL
    for (int r = 0; r < kDistance; ++r) {
      if (r + kDistance < R) values[r] = ieee::Add(values[r], values[r + kDistance]);
    }
    return SumOfRow<R, kDistance / 2>(values);
  }
}

// The softmax of a row: that of a logit x is ExpOfDifference(x, maximum) / sum. Where the row is poisoned the sum is
// NaN.
struct RowSoftmax {
  Float maximum;
  Float sum;
};

// Keeps the exponentials, of which a softmax is one part: in `exponentials`, which may be the logits' place.
template <int R>
EVENKEEL_WARP RowSoftmax SoftmaxOfRow(const Float* logits, Float* exponentials) {
  const Float maximum = FromOrdered(warp::MaxOf(Ordered(LaneMaxima<R>(logits))));
  Float sums[R];
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) sums[r] = exponentials[r] = ExpOfDifference(logits[r], maximum);
  return {maximum, SumOfRow<R>(sums)};
}

template <int R>
EVENKEEL_WARP RowSoftmax SoftmaxOfRow(const Float* logits) {
  Float exponentials[R];
  return SoftmaxOfRow<R>(logits, exponentials);
}

EVENKEEL_WARP Float SoftmaxOf(const RowSoftmax& softmax, Float logit) {
  return ieee::Div(ExpOfDifference(logit, softmax.maximum), softmax.sum);
}

// Makes unbiased scores of logits.
template <int R>
EVENKEEL_WARP void ScoreLogits(const RoutePlan& plan, const RowSoftmax& softmax, Float* values) {
  if (plan.spec.score == Score::kSigmoid) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = Sigmoid(values[r]);
  } else if (plan.spec.score == Score::kSoftmax) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = SoftmaxOf(softmax, values[r]);
  } else if (plan.spec.score == Score::kSqrtSoftplus) {
    EVENKEEL_UNROLL
    for (int r = 0; r < R; ++r) values[r] = SqrtSoftplus(values[r]);
  }
  if (!plan.spec.scale_before_bias) return;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) values[r] = ieee::Mul(values[r], plan.spec.scale);
}

// What experts are sorted by: the biased score of a candidate; minus infinity or NaN for what is none.
template <int R>
EVENKEEL_WARP void KeysOf(const RoutePlan& plan, const Float* scores, const Float* bias, Float* keys) {
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) keys[r] = ieee::Add(scores[r], bias[r]);
  if (plan.bounded_scores) return;
  EVENKEEL_UNROLL
  for (int r = 0; r < R; ++r) keys[r] = ieee::Select(keys[r] < __builtin_inff(), keys[r], kNegativeInfinity);
}
