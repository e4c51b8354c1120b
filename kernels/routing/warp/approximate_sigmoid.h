#pragma once

namespace evenkeel::routing {

// What warp::ApproximateSigmoid promises: it is this near to the defined Sigmoid, for every x but NaN, for which it is
// NaN. On a device it is 1 / (1 + 2^(-x log2(e))) by the two approximate instructions of the PTX ISA, both flushing
// subnormal numbers to zero; on emulated lanes it errs by as much as this allows, so that tests attack what is built on
// it.
//
// The bound, in units of u = 2^-24, with s the exact sigmoid of x:
//   The exponent. Its rounding (u) and that of log2(e) (u / 4) make it wrong by 1.25 u |x| log2(e), and the power by a
//     factor 1 + 1.25 u |x|. ex2.approx.ftz errs by a relative 2^-22 = 4 u. A factor 1 + d of the power moves the
//     result by s (1 - s) d; s (1 - s) is at most 1/4, and s (1 - s) |x| at most 0.224:    1.25 * 0.224 u + 4 u / 4
//   1 + 2^... is rounded:                                                                  u
//   rcp.approx.ftz errs by 1 ulp, a relative 2^-23 at most:                                2 u
//   Sigmoid itself is within 1 ulp of s, and ulps below 1 are at most u:                   u
//   What is flushed is below 2^-126; beyond |x| = 104 all of this is 0 or 1, but for the roundings above.
//   In sum                                                                                 5.3 u < 8 u
inline constexpr float kApproximateSigmoidError = 0x1p-21f;

}  // namespace evenkeel::routing
