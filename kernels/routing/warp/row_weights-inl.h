// The weights of the chosen experts, a slot a lane. Text for the lanes of a warp; row-inl.h says where it may be
// included. The steps are those of row_weights.h.

// The softmax over the slots' logits, minus infinity where there is none.
EVENKEEL_WARP Float SoftmaxOfSlots(Float logits) {
  RowSoftmax softmax;
  softmax.maximum = FromOrdered(warp::MaxOf(Ordered(LaneMaxima<1>(&logits))));
  softmax.sum = SumOfLanes(ExpOfDifference(logits, softmax.maximum));
  return SoftmaxOf(softmax, logits);
}

// The values that weights are made of, from the slots' logits.
EVENKEEL_WARP Float GatheredValues(const RoutePlan& plan, const RowSoftmax& softmax, Float logits) {
  switch (plan.spec.weight) {
    case Weight::kScore:
      ScoreLogits<1>(plan, softmax, &logits);
      break;
    case Weight::kSoftmax:
      logits = SoftmaxOf(softmax, logits);
      break;
    case Weight::kSoftmaxOfSelected:
      logits = SoftmaxOfSlots(logits);
      break;
    case Weight::kSigmoidOfSelected:
      logits = Sigmoid(logits);
      break;
  }
  return logits;
}

EVENKEEL_WARP Float Normalized(const RoutePlan& plan, Float values) {
  const Float sum = ieee::Add(SumOfLanes(values), plan.spec.normalize_epsilon);
  const Float divisor = ieee::Max(plan.spec.normalize_min, sum);
  const Mask usable = ieee::IsFinite(sum) & (divisor > 0.0f);
  return ieee::Select(usable, ieee::Div(values, divisor), 0.0f);
}

// 0 where there is no expert.
EVENKEEL_WARP Float WeightsOf(const RoutePlan& plan, int64_t row, const RowSoftmax& softmax, const Chosen& chosen) {
  Float values = chosen.scores;
  if (!chosen.scored || plan.spec.weight != Weight::kScore) {
    LoadLogits<1>(plan, row, chosen.ids, &values);
    values = GatheredValues(plan, softmax, values);
  }
  values = ieee::Select(IsExpert(plan, chosen.ids) & ieee::IsFinite(values), values, 0.0f);
  if (plan.spec.normalize) values = Normalized(plan, values);
  return plan.scales_weights ? ieee::Mul(values, plan.spec.scale) : values;
}
