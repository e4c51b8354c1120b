#include "kernels/routing/derivative.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// To the accuracy of double. The lesser of the sigmoid and what it lacks to 1 is e / (1 + e).
double ExactSigmoidDerivative(double x) {
  const double e = std::exp(-std::fabs(x));
  return e / ((1 + e) * (1 + e));
}

double ExactSqrtSoftplusDerivative(double x) {
  if (x < -300) return std::exp(x / 2) / 2;
  const double e = std::exp(-std::fabs(x));
  const double y = std::sqrt(std::fmax(x, 0) + std::log1p(e));
  return (x > 0 ? 1 : e) / (1 + e) / (2 * y);
}

// One ulp at an exact value: the distance of the floats around it.
double Ulp(double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

// The worst error in ulp over every 1009th float, or every single one with EVENKEEL_LONG=1.
double WorstUlp(const char* name, float (*derivative)(float), double (*exact)(double)) {
  const uint64_t stride = std::getenv("EVENKEEL_LONG") != nullptr ? 1 : 1009;
  double worst = 0;
  float at = 0;
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += stride) {
    const float x = ieee::FromBits(static_cast<uint32_t>(bits));
    if (!ieee::IsFinite(x)) continue;
    const double expected = exact(x);
    const double error = std::fabs(derivative(x) - expected) / Ulp(expected);
    if (!(error <= worst)) {
      worst = error;
      at = x;
    }
  }
  std::printf("%s: worst error %.4f ulp, at %a (%.9g), every %u-th float\n", name, worst, at, at,
              static_cast<unsigned>(stride));
  return worst;
}

float SigmoidDerivative(float x) { return DifferentiateSigmoid(x).derivative; }
float SqrtSoftplusDerivative(float x) { return DifferentiateSqrtSoftplus(x).derivative; }

TEST(DerivativeTest, SigmoidIsAccurate) {
  EXPECT_LT(WorstUlp("sigmoid", SigmoidDerivative, ExactSigmoidDerivative), 2.01);
}

TEST(DerivativeTest, SqrtSoftplusIsAccurate) {
  EXPECT_LT(WorstUlp("sqrt_softplus", SqrtSoftplusDerivative, ExactSqrtSoftplusDerivative), 2.88);
}

TEST(DerivativeTest, ValuesAreThoseOfTheScores) {
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 4099) {
    const float x = ieee::FromBits(static_cast<uint32_t>(bits));
    if (std::isnan(x)) continue;
    ASSERT_EQ(ieee::Bits(DifferentiateSigmoid(x).value), ieee::Bits(Sigmoid(x))) << x;
    ASSERT_EQ(ieee::Bits(DifferentiateSqrtSoftplus(x).value), ieee::Bits(SqrtSoftplus(x))) << x;
  }
}

TEST(DerivativeTest, SpecialValues) {
  EXPECT_EQ(SigmoidDerivative(0.0f), 0.25f);
  EXPECT_EQ(SigmoidDerivative(1.5f), SigmoidDerivative(-1.5f));
  EXPECT_EQ(SigmoidDerivative(100.0f), Exp(-100.0f));              // where y (1 - y) in float is 0
  EXPECT_EQ(SqrtSoftplusDerivative(-150.0f), 0.5f * Exp(-75.0f));  // where the sigmoid is 0
  EXPECT_EQ(SqrtSoftplusDerivative(10000.0f), 0.005f);
  for (const auto derivative : {SigmoidDerivative, SqrtSoftplusDerivative}) {
    EXPECT_EQ(derivative(kInfinity), 0.0f);
    EXPECT_EQ(derivative(-kInfinity), 0.0f);
    EXPECT_EQ(derivative(std::numeric_limits<float>::lowest()), 0.0f);
    EXPECT_TRUE(std::isnan(derivative(std::nanf(""))));
  }
}

}  // namespace
}  // namespace evenkeel::routing
