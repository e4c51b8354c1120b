// What the slots of a row have in common, one a lane. Text for the lanes of a warp; row-inl.h says where it may be
// included. The steps are those of row_weights.h.

// a / b where the mask says so, 0 elsewhere. What is masked is not divided: most lanes have no slot and a 0, which
// takes a device out of its fast division, and the lanes that have one with it.
EVENKEEL_WARP Float DivideWhere(Mask mask, Float a, Float b) {
  return ieee::Select(mask, ieee::Div(ieee::Select(mask, a, b), b), 0.0f);
}

// The softmax over the logits of the slots that the mask says are there, 0 in others, whose logits are minus infinity.
EVENKEEL_WARP Float SoftmaxOfSlots(Mask slots, Float logits) {
  const Float maximum = FromOrdered(warp::MaxOf(Ordered(LaneMaxima<1>(&logits))));
  const Float exponentials = ExpOfDifference(logits, maximum);
  return DivideWhere(slots, exponentials, SumOfLanes(exponentials));
}

// What normalising divides by, the same in every lane.
struct Normalizer {
  Float divisor;
  Mask usable;  // where not, the weights of the row are 0
  Mask is_sum;  // the sum of the values made it, and not the minimum
};

EVENKEEL_WARP Normalizer NormalizerOf(const RouteSpec& spec, Float values) {
  const Float sum = ieee::Add(SumOfLanes(values), spec.normalize_epsilon);
  const Float divisor = ieee::Max(spec.normalize_min, sum);
  return {divisor, Mask(ieee::IsFinite(sum) & (divisor > 0.0f)), sum >= spec.normalize_min};
}
