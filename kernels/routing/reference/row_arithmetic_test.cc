#include "kernels/routing/reference/row_arithmetic.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/lane_sum.h"

namespace evenkeel::routing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Normal(int size, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// Both compilations must pass every test here.
class RowArithmeticTest : public testing::TestWithParam<const RowArithmetic*> {
 protected:
  using OverRow = void (*)(const float*, int, float*);

  static std::vector<float> Apply(OverRow function, const std::vector<float>& in) {
    std::vector<float> out(in.size());
    function(in.data(), in.size(), out.data());
    std::vector<float> in_place = in;
    function(in_place.data(), in_place.size(), in_place.data());
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(ieee::Bits(in_place[i]), ieee::Bits(out[i])) << "in place, " << i << " of " << in.size();
    }
    return out;
  }

  const RowArithmetic& arithmetic_ = *GetParam();
};

TEST_P(RowArithmeticTest, EachElementByTheScalarFunction) {
  for (int size = 0; size < 100; ++size) {
    const std::vector<float> in = Normal(size, 20, size);
    const std::vector<float> sigmoid = Apply(arithmetic_.sigmoid, in);
    const std::vector<float> sqrt_softplus = Apply(arithmetic_.sqrt_softplus, in);
    for (int i = 0; i < size; ++i) {
      EXPECT_EQ(sigmoid[i], Sigmoid(in[i])) << in[i];
      EXPECT_EQ(sqrt_softplus[i], SqrtSoftplus(in[i])) << in[i];
    }
  }
}

TEST_P(RowArithmeticTest, SoftmaxAsDefined) {
  for (const int size : {1, 2, 7, 31, 32, 33, 60, 64, 144, 256, 1024}) {
    const std::vector<float> in = Normal(size, 5, size);
    float maximum = -kInfinity;
    for (const float x : in) maximum = std::fmax(maximum, x);
    std::vector<float> expected;
    for (const float x : in) expected.push_back(ExpOfDifference(x, maximum));
    const float sum = LaneSum(expected.data(), size);
    for (float& e : expected) e /= sum;
    EXPECT_EQ(Apply(arithmetic_.softmax, in), expected) << size;
  }
}

// The subtraction of the maximum rounds x - m, which exp turns into a relative error of |x - m| * 2^-24.
TEST_P(RowArithmeticTest, SoftmaxIsAccurate) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const std::vector<float> in = Normal(256, 8, seed);
    const std::vector<float> softmax = Apply(arithmetic_.softmax, in);
    double maximum = -HUGE_VAL;
    double sum = 0;
    for (const double x : in) maximum = std::fmax(maximum, x);
    for (const double x : in) sum += std::exp(x - maximum);
    for (int i = 0; i < 256; ++i) {
      const double exact = std::exp(in[i] - maximum) / sum;
      ASSERT_NEAR(softmax[i], exact, exact * (maximum - in[i] + 8) * 0x1p-24) << "seed " << seed << ", " << i;
    }
  }
}

// Every finite float against a 0, where the difference is the float itself: what is left is the exponential, the sum
// and the quotient. Their errors of 0.9, 0.5 and 0.5 ulp can double when the quotient falls into a lower binade.
TEST(SoftmaxOfPairsTest, WithinFourUlpOverAllFloats) {
  const uint64_t stride = std::getenv("EVENKEEL_LONG") != nullptr ? 1 : 4099;
  double worst = 0;
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += stride) {
    const float x = ieee::FromBits(static_cast<uint32_t>(bits));
    if (!ieee::IsFinite(x)) continue;
    const float in[] = {0, x};
    float out[2];
    NativeRowArithmetic().softmax(in, 2, out);
    const double lesser = std::exp(-std::fabs(static_cast<double>(x)));
    const double exact[] = {(x > 0 ? lesser : 1) / (1 + lesser), (x > 0 ? 1 : lesser) / (1 + lesser)};
    for (int i = 0; i < 2; ++i) {
      const float below = static_cast<float>(exact[i]);
      const double ulp = static_cast<double>(std::nextafter(below, kInfinity)) - below;
      const double error = std::fabs(out[i] - exact[i]) / ulp;
      worst = std::fmax(worst, error);
      ASSERT_LE(error, 4) << "x = " << x << ", element " << i;
    }
  }
  std::printf("softmax of {0, x}: worst error %.3f ulp, every %u-th float\n", worst, static_cast<unsigned>(stride));
}

TEST_P(RowArithmeticTest, SoftmaxOfInfinities) {
  EXPECT_EQ(Apply(arithmetic_.softmax, {0, -kInfinity, 0}), (std::vector<float>{0.5, 0, 0.5}));
  EXPECT_EQ(Apply(arithmetic_.softmax, {-3e38f, 3e38f}), (std::vector<float>{0, 1}));
  for (const auto& poisoned : std::vector<std::vector<float>>{
           {-kInfinity}, {-kInfinity, -kInfinity}, {kInfinity, 0}, {kInfinity, kInfinity}, {0, kNan, 0}, {kNan, 0}}) {
    for (const float value : Apply(arithmetic_.softmax, poisoned)) EXPECT_TRUE(std::isnan(value));
  }
}

INSTANTIATE_TEST_SUITE_P(Native, RowArithmeticTest, testing::Values(&NativeRowArithmetic()));
INSTANTIATE_TEST_SUITE_P(Portable, RowArithmeticTest, testing::Values(&PortableRowArithmetic()));

TEST(NativeRowArithmeticTest, SameBitsAsPortable) {
  const auto same = [](void (*native)(const float*, int, float*), void (*portable)(const float*, int, float*)) {
    for (uint32_t seed = 0; seed < 200; ++seed) {
      const std::vector<float> in = Normal(1 + seed * 5, 0.1f * (1 + seed), seed);
      std::vector<float> by_native(in.size());
      std::vector<float> by_portable(in.size());
      native(in.data(), in.size(), by_native.data());
      portable(in.data(), in.size(), by_portable.data());
      ASSERT_EQ(by_native, by_portable) << "seed " << seed;
    }
  };
  const RowArithmetic& native = NativeRowArithmetic();
  const RowArithmetic& portable = PortableRowArithmetic();
  same(native.sigmoid, portable.sigmoid);
  same(native.sqrt_softplus, portable.sqrt_softplus);
  same(native.softmax, portable.softmax);
}

}  // namespace
}  // namespace evenkeel::routing
