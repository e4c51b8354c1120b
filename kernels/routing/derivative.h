#pragma once

#include <cstdint>

#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"

// The scores with their derivatives, each a fixed sequence of operations as the scores themselves are (arithmetic.h),
// and compiled like them for one number here and for vectors in cpu/.
//   DifferentiateSigmoid(x)       y = Sigmoid(x) and y (1 - y)
//   DifferentiateSqrtSoftplus(x)  y = SqrtSoftplus(x) and Sigmoid(x) / (2 y)
//
// The values are those of arithmetic.h, bit for bit. The error of the derivatives, over all 2^32 floats and subnormal
// results included, is below 2.01 ulp for the first and 2.88 ulp for the second (derivative_test.cc); both are 0 at
// both infinities. A NaN gives two NaNs, whose sign and payload are not defined.
namespace evenkeel::routing {

namespace scalar {
#include "kernels/routing/derivative-inl.h"
}  // namespace scalar

using scalar::DifferentiateSigmoid;
using scalar::DifferentiateSqrtSoftplus;

}  // namespace evenkeel::routing
