#pragma once

namespace evenkeel::routing {

// What the approximating instructions of a GPU are good for, in scores. Emulated lanes err by as much as this allows,
// so that tests attack what is built on it. In units of u = 2^-24:

// How far warp::ApproximateSigmoid is from the defined Sigmoid, for every x but NaN, for which it is NaN. It is
// 1 / (1 + 2^(-x log2(e))) by two instructions of the PTX ISA, both flushing subnormal numbers to zero. With s the
// exact sigmoid of x:
//   The exponent. Its rounding (u) and that of log2(e) (u / 4) make it wrong by 1.25 u |x| log2(e), and the power by a
//     factor 1 + 1.25 u |x|. ex2.approx.ftz errs by a relative 2^-22 = 4 u. A factor 1 + d of the power moves the
//     result by s (1 - s) d; s (1 - s) is at most 1/4, and s (1 - s) |x| at most 0.224:    1.25 * 0.224 u + 4 u / 4
//   1 + 2^... is rounded:                                                                  u
//   rcp.approx.ftz errs by 1 ulp, a relative 2^-23 at most:                                2 u
//   Sigmoid itself is within 1 ulp of s, and ulps below 1 are at most u:                   u
//   What is flushed is below 2^-126; beyond |x| = 104 all of this is 0 or 1, but for the roundings above.
//   In sum                                                                                 5.3 u < 6 u
inline constexpr float kApproximateSigmoidError = 0x1.8p-22f;

// The relative error of warp::ApproximateReciprocal, rcp.approx.ftz, from 1 up to 2^100; NaN for NaN.
inline constexpr float kApproximateReciprocalError = 0x1p-23f;

// How far warp::ApproximateSqrtSoftplus is from the defined SqrtSoftplus, for every x that is not more than
// kApproximatedLogits, and NaN for NaN. It is the root of |max(x, 0) + log(2) log2(1 + 2^(-|x| log2(e)))| by three
// instructions. With s the exact softplus of x, and what is below 2^-126 left out as above:
//   The power is wrong by a factor 1 + (1.25 |x| + 4) u, as that above, and the logarithm by w / (1 + w) times as much,
//     w = e^-|x|; that quotient is at most 1/2, and |x| times it 0.279:                      1.25 * 0.279 u + 4 u / 2
//   1 + 2^... is rounded, and no less than 1:                                                u
//   lg2.approx.ftz errs by 2^-22 from 1 up to 2, and log(2) times that is                    2.8 u
//   log(2) is rounded, and multiplies what is at most 1:                                     0.7 u
//   In sum s is wrong by                                                                     6.9 u
// |sqrt(a) - sqrt(b)| is at most sqrt(|a - b|), and taking |a| brings a no further from b >= 0: 5.3 * 2^-13 of the
// root. That is far more than need be but for x < 0, and little beside what scores differ by.
//   The sum is rounded, sqrt.approx.ftz errs by a relative 2^-23, SqrtSoftplus by an ulp, and rounding before and after
//     scaling by 2 u: 6.5 u of a score of at most 64.01:                                     0.2 * 2^-13
//   In sum                                                                                   5.5 * 2^-13 < 2^-10
inline constexpr float kApproximateSqrtSoftplusError = 0x1p-10f;
inline constexpr float kApproximatedLogits = 4096;

// How far a score that is made of the first two is from the defined one, times the scale where scores are scaled. A
// softmax is an exponential divided by a sum that is no less: at most 1, off by 2 u with the approximate reciprocal, by
// u for the rounding of the product, and by u for that of the quotient. A scaled score is rounded once more on either
// side, 2 u times the scale.
inline constexpr float kApproximateScoreError = 0x1p-21f;

}  // namespace evenkeel::routing
