// The text of the derivatives; derivative.h says what it promises. Included as arithmetic-inl.h is, and after it.

struct ValueAndDerivative {
  Float value;
  Float derivative;
};

EVENKEEL_HD_INLINE ValueAndDerivative DifferentiateSigmoid(Float x) {
  // q is the lesser of y and 1 - y: good to an ulp, where 1 - y for a y near 1 has few digits left.
  const Float q = Sigmoid(ieee::Neg(ieee::Abs(x)));
  const Float rest = ieee::Sub(ieee::Constant(1.0f), q);
  return {ieee::Select(ieee::Less(ieee::Constant(0.0f), x), rest, q), ieee::Mul(q, rest)};
}

EVENKEEL_HD_INLINE ValueAndDerivative DifferentiateSqrtSoftplus(Float x) {
  const Float y = SqrtSoftplus(x);
  // Far down, sigmoid(x) is e^x, which underflows long before y, its root, does.
  const auto far_down = ieee::Less(x, ieee::Constant(-40.0f));
  const Float quotient = ieee::Div(Sigmoid(x), ieee::Add(y, y));
  return {y, ieee::Select(far_down, ieee::Mul(ieee::Constant(0.5f), y), quotient)};
}
