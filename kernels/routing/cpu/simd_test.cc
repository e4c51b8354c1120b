#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/cpu/targets.h"
#include "kernels/routing/lane_sum.h"

#ifndef EVENKEEL_SIMD_TEST_ORIGIN
#define EVENKEEL_SIMD_TEST_ORIGIN
namespace evenkeel::routing {
// What differences are taken from.
inline constexpr float kOrigin = 12.3456f;
}  // namespace evenkeel::routing
#endif

// What the SIMD routers are built of, on every target of this machine: the same bits as the scalar definitions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/routing/cpu/simd_test.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/routing/cpu/order-inl.h"
#include "kernels/routing/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel::routing::HWY_NAMESPACE {

#if EVENKEEL_SIMD
int Width() { return kWidth; }

// Sizes are multiples of kLanes throughout.
void ExpAll(const float* in, int size, float* out) {
  for (int i = 0; i < size; i += kWidth) Store(Exp(Load(in + i)), out + i);
}

void SigmoidAll(const float* in, int size, float* out) {
  for (int i = 0; i < size; i += kWidth) Store(Sigmoid(Load(in + i)), out + i);
}

void SqrtSoftplusAll(const float* in, int size, float* out) {
  for (int i = 0; i < size; i += kWidth) Store(SqrtSoftplus(Load(in + i)), out + i);
}

void ExpOfDifferenceAll(const float* in, int size, float* out) {
  for (int i = 0; i < size; i += kWidth) Store(ExpOfDifference(Load(in + i), ieee::Constant(kOrigin)), out + i);
}

float Sum(const float* in, int size) {
  std::vector<float> scratch(size);
  return SumOfBlocks(in, size, scratch.data());
}

void OrderedAll(const float* in, int size, int32_t* out) {
  for (int i = 0; i < size; i += kWidth) hn::StoreU(Ordered(Load(in + i)), kInteger, out + i);
}

void RankAll(const int32_t* ordered, int size, int32_t* ranks) {
  for (int i = 0; i < size; i += kWidth) hn::StoreU(Ranks(ordered, size, i), kInteger, ranks + i);
}

// The lanes of in[0 .. Width() - 1] that are at least 0; answers their number. `out` has room for a register.
int CompressNotNegative(const float* in, float* out) {
  const Float values = Load(in);
  const Mask chosen = hn::Ge(values, hn::Zero(kFloat));
  Store(Compress(kFloat, values, chosen), out);
  return static_cast<int>(hn::CountTrue(kFloat, chosen));
}
#else
int Width() { return 0; }
void ExpAll(const float*, int, float*) {}
void SigmoidAll(const float*, int, float*) {}
void ExpOfDifferenceAll(const float*, int, float*) {}
void SqrtSoftplusAll(const float*, int, float*) {}
float Sum(const float*, int) { return 0; }
void OrderedAll(const float*, int, int32_t*) {}
void RankAll(const int32_t*, int, int32_t*) {}
int CompressNotNegative(const float*, float*) { return 0; }
#endif  // EVENKEEL_SIMD

}  // namespace evenkeel::routing::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace evenkeel::routing {
namespace {

HWY_EXPORT(Width);
HWY_EXPORT(ExpAll);
HWY_EXPORT(ExpOfDifferenceAll);
HWY_EXPORT(SigmoidAll);
HWY_EXPORT(SqrtSoftplusAll);
HWY_EXPORT(Sum);
HWY_EXPORT(OrderedAll);
HWY_EXPORT(RankAll);
HWY_EXPORT(CompressNotNegative);

class SimdTest : public testing::TestWithParam<int64_t> {
 protected:
  SimdTest() { hwy::SetSupportedTargetsForTest(GetParam()); }
  ~SimdTest() override { hwy::SetSupportedTargetsForTest(0); }
};

// Those of this machine that have SIMD routers.
std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    if (HWY_DYNAMIC_DISPATCH(Width)() > 0) targets.push_back(target);
  }
  hwy::SetSupportedTargetsForTest(0);
  return targets;
}

using Batch = void (*)(const float* in, int size, float* out);

// Over every stride-th float there is.
void ExpectSameBits(float (*scalar)(float), Batch batch) {
  constexpr int kSize = 4096;
  const bool every_float = std::getenv("EVENKEEL_LONG") != nullptr;
  const uint64_t stride = every_float ? 1 : 1009;
  std::vector<float> in(kSize);
  std::vector<float> out(kSize);
  for (uint64_t first = 0; first < uint64_t{1} << 32; first += kSize * stride) {
    for (int i = 0; i < kSize; ++i) in[i] = ieee::FromBits(static_cast<uint32_t>(first + i * stride));
    batch(in.data(), kSize, out.data());
    for (int i = 0; i < kSize; ++i) {
      const float expected = scalar(in[i]);
      if (std::isnan(expected) && std::isnan(out[i])) continue;
      ASSERT_EQ(ieee::Bits(out[i]), ieee::Bits(expected)) << "at " << in[i];
    }
  }
}

TEST_P(SimdTest, ExpIsTheDefinedOne) { ExpectSameBits(Exp, HWY_DYNAMIC_DISPATCH(ExpAll)); }
float ExpFromOrigin(float x) { return ExpOfDifference(x, kOrigin); }

TEST_P(SimdTest, ExpOfDifferenceIsTheDefinedOne) {
  ExpectSameBits(ExpFromOrigin, HWY_DYNAMIC_DISPATCH(ExpOfDifferenceAll));
}
TEST_P(SimdTest, SigmoidIsTheDefinedOne) { ExpectSameBits(Sigmoid, HWY_DYNAMIC_DISPATCH(SigmoidAll)); }
TEST_P(SimdTest, SqrtSoftplusIsTheDefinedOne) { ExpectSameBits(SqrtSoftplus, HWY_DYNAMIC_DISPATCH(SqrtSoftplusAll)); }

// Values so different in size that any other order of addition shows.
TEST_P(SimdTest, SumsInTheOrderOfLaneSum) {
  int other_order_differs = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> exponent(-12, 12);
    std::vector<float> values(kLanes * (1 + random() % 9));
    for (float& value : values) value = std::exp2(exponent(random)) * (random() % 4 == 0 ? -1 : 1);
    const float sum = HWY_DYNAMIC_DISPATCH(Sum)(values.data(), static_cast<int>(values.size()));
    ASSERT_EQ(sum, LaneSum(values.data(), static_cast<int>(values.size()))) << "seed " << seed;
    other_order_differs += sum != std::accumulate(values.begin(), values.end(), 0.0f);
  }
  EXPECT_GT(other_order_differs, 100);
}

// Few different values, so that there are ties.
std::vector<float> SomeValues(std::mt19937& random, int size) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> pool = {0.0f,  -0.0f, 1.0f,   -1.0f,     1e-45f,     -1e-45f, 0.5f,
                                   -0.5f, 3e38f, -3e38f, kInfinity, -kInfinity, 2.0f,    -2.0f};
  std::vector<float> values(size);
  for (float& value : values) value = pool[random() % pool.size()];
  return values;
}

TEST_P(SimdTest, OrderedIntegersCompareAsTheFloatsDo) {
  std::mt19937 random(1);
  const std::vector<float> values = SomeValues(random, 64);
  std::vector<int32_t> ordered(values.size());
  HWY_DYNAMIC_DISPATCH(OrderedAll)(values.data(), static_cast<int>(values.size()), ordered.data());
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; j < values.size(); ++j) {
      ASSERT_EQ(values[i] < values[j], ordered[i] < ordered[j]) << values[i] << " and " << values[j];
    }
    ASSERT_GT(ordered[i], std::numeric_limits<int32_t>::min());
  }
}

TEST_P(SimdTest, RanksAreThePlacesInAStableDescendingSort) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937 random(seed);
    const int size = kLanes * static_cast<int>(1 + random() % 3);
    const std::vector<float> values = SomeValues(random, size);
    std::vector<int32_t> ordered(size);
    std::vector<int32_t> ranks(size);
    HWY_DYNAMIC_DISPATCH(OrderedAll)(values.data(), size, ordered.data());
    HWY_DYNAMIC_DISPATCH(RankAll)(ordered.data(), size, ranks.data());
    std::vector<int> sorted(size);
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(), [&](int a, int b) { return values[a] > values[b]; });
    for (int place = 0; place < size; ++place) ASSERT_EQ(ranks[sorted[place]], place) << "seed " << seed;
  }
}

TEST_P(SimdTest, CompressMovesTheChosenLanesToTheFront) {
  const int width = HWY_DYNAMIC_DISPATCH(Width)();
  for (uint32_t mask = 0; mask < 1u << width; ++mask) {
    std::vector<float> in(width);
    std::vector<float> expected;
    for (int lane = 0; lane < width; ++lane) {
      const bool chosen = (mask >> lane & 1) != 0;
      in[lane] = chosen ? lane + 1 : -lane - 1;
      if (chosen) expected.push_back(in[lane]);
    }
    std::vector<float> out(width);
    ASSERT_EQ(HWY_DYNAMIC_DISPATCH(CompressNotNegative)(in.data(), out.data()), expected.size());
    out.resize(expected.size());
    ASSERT_EQ(out, expected) << "mask " << mask;
  }
}

// None, on a processor without fma.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SimdTest);
INSTANTIATE_TEST_SUITE_P(Targets, SimdTest, testing::ValuesIn(Targets()),
                         [](const testing::TestParamInfo<int64_t>& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace evenkeel::routing
#endif  // HWY_ONCE
