// The text of the defined arithmetic; arithmetic.h says what it promises. No header of its own: it is included inside a
// namespace that says what Float, Word (as many unsigned integers of 32 bits) and Mask are, one number or a vector of
// them, and where ieee:: has the operations of ieee.h on them. Hence no operators, no branches, and no literal without
// Constant().

// c[0] z^n + c[1] z^(n - 1) + ... + c[n], by Horner's rule, fused.
EVENKEEL_HD_INLINE Float Horner(Float z, Float sum) { return sum; }
template <typename... Coefficients>
EVENKEEL_HD_INLINE Float Horner(Float z, Float sum, float next, Coefficients... rest) {
  return Horner(z, ieee::Fma(sum, z, ieee::Constant(next)), rest...);
}
template <typename... Coefficients>
EVENKEEL_HD_INLINE Float Polynomial(Float z, float first, Coefficients... rest) {
  return Horner(z, ieee::Constant(first), rest...);
}

// exp(x + low) = (1 + r + u) * 2^n for |x| < 2^21 and |low| <= 2^-18. r is exact, |r| < 0.35; u, small beside it, is
// good to 2^-28. Their rounded sum would cost a quarter of an ulp, which not every caller can spare.
struct ReducedExp {
  Float r;
  Float u;
  Word n;  // two's complement, in the low 9 bits; the others hold anything
};

EVENKEEL_HD_INLINE ReducedExp ReduceExp(Float x, Float low) {
  const Float log2_e = ieee::Constant(0x1.715476p0f);
  const Float to_integer =
      ieee::Constant(0x1.8p23f);  // its last place is 1: what is added to it is rounded to an integer
  const Float shifted = ieee::Fma(x, log2_e, to_integer);
  const Float n = ieee::Sub(shifted, to_integer);
  // log(2) in two parts.
  const Float r = ieee::NegFma(n, ieee::Constant(0x1.62e43p-1f), x);
  const Float r_low = ieee::Fma(n, ieee::Constant(0x1.05c61p-29f), low);
  // exp(z) = 1 + z + z^2 P(z) on |z| <= log(2) / 2, minimax to 2^-28.
  const Float z = ieee::Add(r, r_low);
  const Float p = Polynomial(z, 0x1.6b81a6p-10f, 0x1.123046p-7f, 0x1.555676p-5f, 0x1.5554a2p-3f, 0.5f);
  return {r, ieee::Fma(ieee::Mul(z, z), p, r_low), ieee::Bits(shifted)};
}

// 2^n * 2^(exponent - 127), n as in ReducedExp, where that is a normal number.
EVENKEEL_HD_INLINE Float NormalPower(Word n, uint32_t exponent) {
  return ieee::FromBits(ieee::Add(ieee::ShiftLeft<23>(n), ieee::Constant(exponent << 23)));
}

// 2^n for -150 <= n <= 0, rounded: a subnormal number below 2^-126, 0 for -150.
EVENKEEL_HD_INLINE Float PowerOfTwo(Word n) { return ieee::Mul(NormalPower(n, 227), ieee::Constant(0x1p-100f)); }

// log(1 + f + f_low) = high + low for -0.3 <= f <= 1 and |f_low| within half a last place of f. low is at most a
// few per cent of high, so that their rounded sum is good to little more than half an ulp.
struct Pair {
  Float high;
  Float low;
};

EVENKEEL_HD_INLINE Pair Log1pPair(Float f, Float f_low) {
  // 2 atanh(s / 2) = s + s^3 P(s^2), with s = 2f / (2 + f) and its remainder.
  const Float y = ieee::Div(ieee::Constant(2.0f), ieee::Add(ieee::Constant(2.0f), f));
  const Float s = ieee::Mul(f, y);
  const Float half = ieee::Mul(ieee::Constant(0.5f), s);
  Float remainder = ieee::NegFma(half, f, ieee::Sub(f, s));
  remainder = ieee::Fma(f_low, ieee::Sub(ieee::Constant(1.0f), half), remainder);
  const Float v = ieee::Mul(s, s);
  const Float p = Polynomial(v, 0x1.f08af8p-14f, 0x1.b72bb8p-12f, 0x1.25051p-9f, 0x1.9996d8p-7f, 0x1.555558p-4f);
  return {s, ieee::Fma(ieee::Mul(s, v), p, ieee::Mul(remainder, y))};
}

// e^(x + low), for |low| at most half an ulp of x; low is 0 where x is not in [-104, 89].
EVENKEEL_HD_INLINE Float ExpOfPair(Float x, Float low) {
  // Outside, exp rounds to 0 and to infinity; so it does at the bounds.
  const Float clamped = ieee::Min(ieee::Max(x, ieee::Constant(-104.0f)), ieee::Constant(89.0f));
  const ReducedExp e = ReduceExp(clamped, low);
  // 2^n in two factors, the first of which is exact: the result is rounded once, be it subnormal or too great.
  const Mask down = ieee::Less(x, ieee::Constant(0.0f));
  const Float near = ieee::Select(down, NormalPower(e.n, 227), NormalPower(e.n, 27));
  const Float far = ieee::Select(down, ieee::Constant(0x1p-100f), ieee::Constant(0x1p100f));
  return ieee::Mul(ieee::Mul(ieee::Add(ieee::Constant(1.0f), ieee::Add(e.r, e.u)), near), far);
}

// e^x.
EVENKEEL_HD_INLINE Float Exp(Float x) { return ExpOfPair(x, ieee::Constant(0.0f)); }

// e^(x - m) for x <= m, of their exact difference: rounded before, it would be off by half an ulp of itself, and its
// exponential by as many times its own.
EVENKEEL_HD_INLINE Float ExpOfDifference(Float x, Float m) {
  const Float d = ieee::Sub(x, m);
  // What the subtraction lost (Knuth, The Art of Computer Programming, vol. 2, 4.2.2).
  const Float minus_m = ieee::Sub(d, x);
  const Float lost = ieee::Sub(ieee::Sub(x, ieee::Sub(d, minus_m)), ieee::Add(m, minus_m));
  const Mask matters = ieee::Less(ieee::Constant(-104.0f), d);
  return ExpOfPair(d, ieee::Select(matters, lost, ieee::Constant(0.0f)));
}

// 1 / (1 + e^-x).
EVENKEEL_HD_INLINE Float Sigmoid(Float x) {
  const Float one = ieee::Constant(1.0f);
  // With e = exp(-|x|) = k (1 + t), k = 2^n: the sigmoid of -|x| is e / (1 + e), that of |x| is one minus it.
  const Float a = ieee::Max(ieee::Neg(ieee::Abs(x)), ieee::Constant(-104.0f));
  const ReducedExp reduced = ReduceExp(a, ieee::Constant(0.0f));
  const Float r = reduced.r;
  const Float u = reduced.u;
  const Float k = PowerOfTwo(reduced.n);
  const Float t = ieee::Add(r, u);
  const Float e = ieee::Fma(k, t, k);
  // y = 1 / (1 + e) to 2^-17: minimax on [0, 1] to 2^-9, then a Newton step. Newton comes from below; a 1 that is 2^-18
  // too great brings y to the upper side, not below 1/2, where 1 - y is exact. No division: a GPU is slow at it.
  Float y = Polynomial(e, -0x1.c61bc2p-3f, 0x1.54a934p-1f, -0x1.e2af98p-1f, 0x1.ff1c6ap-1f);
  y = ieee::Fma(y, ieee::NegFma(y, ieee::Add(one, e), ieee::Constant(0x1.00004p0f)), y);
  // What y lacks: d = 1 - y (1 + k (1 + r + u)), in an order that loses nothing. Then
  // e / (1 + e) = k y (1 + t) (1 + d), to d^2.
  const Float ky = ieee::Mul(k, y);
  const Float d = ieee::NegFma(ky, u, ieee::NegFma(ky, r, ieee::Sub(ieee::Sub(one, y), ky)));
  const Float w = ieee::Add(r, ieee::Add(u, ieee::Fma(t, d, d)));
  const Float q = ieee::Mul(ieee::Fma(y, w, y), k);
  return ieee::Select(ieee::Less(ieee::Constant(0.0f), x), ieee::Sub(one, q), q);
}

// log(1 + e^x).
EVENKEEL_HD_INLINE Float Softplus(Float x) {
  // max(x, 0) + log1p(e), with e = exp(-|x|) = e_high + e_low.
  const Float a = ieee::Max(ieee::Neg(ieee::Abs(x)), ieee::Constant(-104.0f));
  const ReducedExp e = ReduceExp(a, ieee::Constant(0.0f));
  const Float k = PowerOfTwo(e.n);
  const Float p = ieee::Add(ieee::Constant(1.0f), ieee::Add(e.r, e.u));
  const Float p_low = ieee::Add(ieee::Add(ieee::Sub(ieee::Constant(1.0f), p), e.r), e.u);
  const Pair log1p = Log1pPair(ieee::Mul(k, p), ieee::Mul(k, p_low));
  const Float base = ieee::Max(ieee::Constant(0.0f), x);
  const Float big = ieee::Max(base, log1p.high);
  const Float small = ieee::Min(base, log1p.high);
  const Float sum = ieee::Add(big, small);
  const Float sum_low = ieee::Add(ieee::Sub(small, ieee::Sub(sum, big)), log1p.low);
  // Far up, log1p(e) is below half an ulp of x.
  return ieee::Select(ieee::Less(ieee::Constant(32.0f), x), x, ieee::Add(sum, sum_low));
}

// sqrt(log(1 + e^x)).
EVENKEEL_HD_INLINE Float SqrtSoftplus(Float x) {
  // Far down, softplus(x) is e^x and its root e^(x / 2) = softplus(x / 2), a normal number long after e^x is none.
  const Mask far_down = ieee::Less(x, ieee::Constant(-40.0f));
  const Float softplus = Softplus(ieee::Select(far_down, ieee::Mul(ieee::Constant(0.5f), x), x));
  return ieee::Select(far_down, softplus, ieee::Sqrt(softplus));
}
