// The weights of the chosen experts, a slot a lane. Text for the lanes of a warp; row-inl.h says where it may be
// included. The steps are those of row_weights.h.

// What weights are made of: of the slots that are there a logit each, or with Weight::kScore the score.
EVENKEEL_WARP Float MadeOf(const RoutePlan& plan, const RowSoftmax& softmax, Mask slots, Float values) {
  switch (plan.spec.weight) {
    case Weight::kScore:
      return values;
    case Weight::kSoftmax:
      return DivideWhere(slots, ExpOfDifference(values, softmax.maximum), softmax.sum);
    case Weight::kSoftmaxOfSelected:
      return SoftmaxOfSlots(slots, values);
    case Weight::kSigmoidOfSelected:
      return Sigmoid(values);
  }
  return values;
}

EVENKEEL_WARP Float Normalized(const RouteSpec& spec, Mask slots, Float values) {
  const Normalizer normalizer = NormalizerOf(spec, values);
  return DivideWhere(slots & normalizer.usable, values, normalizer.divisor);
}

// 0 where there is no expert.
EVENKEEL_WARP Float WeightsOf(const RoutePlan& plan, const Row& row, const RowSoftmax& softmax, const Chosen& chosen) {
  const Mask slots = IsExpert(plan, chosen.ids);
  Float values = chosen.values;
  if (!chosen.has_values) {
    LoadLogits<1>(plan, row, chosen.ids, &values);
    if (plan.spec.weight == Weight::kScore) ScoreLogits<1>(plan, softmax, &values);
  }
  values = MadeOf(plan, softmax, slots, values);
  values = ieee::Select(slots & ieee::IsFinite(values), values, 0.0f);
  if (plan.spec.normalize) values = Normalized(plan.spec, slots, values);
  return plan.scales_weights ? ieee::Mul(values, plan.spec.scale) : values;
}
