#include "kernels/routing/reference/row_arithmetic.h"

#include <algorithm>
#include <cstring>

#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/lane_sum.h"

namespace evenkeel::routing {
namespace {

struct SigmoidOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return Sigmoid(x); }
};

struct SqrtSoftplusOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return SqrtSoftplus(x); }
};

struct ExponentialFrom {
  float origin;
  EVENKEEL_HD_INLINE float operator()(float x) const { return ExpOfDifference(x, origin); }
};

struct QuotientBy {
  float divisor;
  EVENKEEL_HD_INLINE float operator()(float x) const { return ieee::Div(x, divisor); }
};

// Whole blocks of a fixed size in an array of their own: a loop that compilers turn into vector instructions.
template <typename Function>
EVENKEEL_HD_INLINE void Apply(Function function, const float* in, int size, float* out) {
  for (int begin = 0; begin < size; begin += kLanes) {
    const size_t bytes = std::min(kLanes, size - begin) * sizeof(float);
    float block[kLanes] = {};
    std::memcpy(block, in + begin, bytes);
    for (int l = 0; l < kLanes; ++l) block[l] = function(block[l]);
    std::memcpy(out + begin, block, bytes);
  }
}

EVENKEEL_HD_INLINE void Softmax(const float* in, int size, float* out) {
  float maximum = in[0];
  for (int i = 1; i < size; ++i) maximum = ieee::Max(maximum, in[i]);
  Apply(ExponentialFrom{maximum}, in, size, out);
  Apply(QuotientBy{LaneSum(out, size)}, out, size, out);
}

// The same source twice, compiled for two kinds of processor. What a function calls is inlined into it, so no code
// that needs the instruction leaves the functions marked so.
void SigmoidPortable(const float* in, int size, float* out) { Apply(SigmoidOf(), in, size, out); }
void SqrtSoftplusPortable(const float* in, int size, float* out) { Apply(SqrtSoftplusOf(), in, size, out); }
void SoftmaxPortable(const float* in, int size, float* out) { Softmax(in, size, out); }

constexpr RowArithmetic kPortable = {SigmoidPortable, SqrtSoftplusPortable, SoftmaxPortable};

#if defined(__x86_64__)
#define EVENKEEL_WITH_FMA __attribute__((target("avx2,fma")))

EVENKEEL_WITH_FMA void SigmoidFma(const float* in, int size, float* out) { Apply(SigmoidOf(), in, size, out); }
EVENKEEL_WITH_FMA void SqrtSoftplusFma(const float* in, int size, float* out) {
  Apply(SqrtSoftplusOf(), in, size, out);
}
EVENKEEL_WITH_FMA void SoftmaxFma(const float* in, int size, float* out) { Softmax(in, size, out); }

constexpr RowArithmetic kFma = {SigmoidFma, SqrtSoftplusFma, SoftmaxFma};

const RowArithmetic& Native() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kFma : kPortable;
}
#else
// Every other 64-bit processor we know of has fma in its base instruction set.
const RowArithmetic& Native() { return kPortable; }
#endif

}  // namespace

const RowArithmetic& NativeRowArithmetic() {
  static const RowArithmetic& native = Native();
  return native;
}

const RowArithmetic& PortableRowArithmetic() { return kPortable; }

}  // namespace evenkeel::routing
