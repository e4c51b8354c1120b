#include "kernels/routing/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <ostream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Each function compiled twice: for any processor, and for one with fma.
#if defined(__x86_64__)
#define EVENKEEL_WITH_FMA __attribute__((target("avx2,fma")))
bool HasFma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
#define EVENKEEL_WITH_FMA
bool HasFma() { return true; }
#endif

template <typename Of>
void Portable(const float* in, int size, float* out) {
  for (int i = 0; i < size; ++i) out[i] = Of()(in[i]);
}

template <typename Of>
EVENKEEL_WITH_FMA void WithFma(const float* in, int size, float* out) {
  for (int i = 0; i < size; ++i) out[i] = Of()(in[i]);
}

struct ExpOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return Exp(x); }
};
struct Log1pOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return Log1p(x); }
};
struct SigmoidOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return Sigmoid(x); }
};
struct SoftplusOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return Softplus(x); }
};
struct SqrtSoftplusOf {
  EVENKEEL_HD_INLINE float operator()(float x) const { return SqrtSoftplus(x); }
};

// The exact functions, to the accuracy of double. exp(-800) is 0 in double, where the float results have long been 0.
double ExactExp(double x) { return std::exp(x); }
double ExactLog1p(double x) { return std::log1p(x); }
double ExactSigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x > 0 ? 1 : e) / (1 + e);
}
double ExactSoftplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double ExactSqrtSoftplus(double x) { return x < -300 ? std::exp(x / 2) : std::sqrt(ExactSoftplus(x)); }

using Batch = void (*)(const float* in, int size, float* out);

struct Function {
  const char* name;
  Batch portable;
  Batch with_fma;
  double (*exact)(double);
  double worst_ulp;  // over every float, rounded up; measured with EVENKEEL_LONG=1
  uint64_t digest;   // see TheDefinitionHasNotChanged
};

std::ostream& operator<<(std::ostream& out, const Function& function) { return out << function.name; }

template <typename Of>
Function Make(const char* name, double (*exact)(double), double worst_ulp, uint64_t digest) {
  return {name, Portable<Of>, WithFma<Of>, exact, worst_ulp, digest};
}

// One ulp at an exact value: the distance of the floats around it.
double Ulp(double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

struct Worst {
  double ulp = 0;
  float at = 0;
  int64_t wrong = 0;  // results of the wrong kind: NaN, infinity or finite where they should not be
  float wrong_at = 0;

  void Merge(const Worst& other) {
    if (other.ulp > ulp) {
      ulp = other.ulp;
      at = other.at;
    }
    if (other.wrong > 0) wrong_at = other.wrong_at;
    wrong += other.wrong;
  }

  void See(float x, float result, double exact) {
    // What an infinite or NaN result is judged by: the exact value as a float. One that rounds to infinity may also be
    // the greatest float, an ulp below.
    const float rounded = static_cast<float>(exact);
    bool right = std::isnan(rounded) == std::isnan(result);
    if (std::isinf(exact) || std::isinf(result)) right = result == rounded;
    if (!right) {
      ++wrong;
      wrong_at = x;
    } else if (std::isfinite(exact) && std::isfinite(result)) {
      const double error = std::fabs(result - exact) / Ulp(exact);
      if (error > ulp) {
        ulp = error;
        at = x;
      }
    }
  }
};

// Over every stride-th of the 2^32 bit patterns; this thread's share of them.
Worst Measure(const Function& function, Batch batch, uint64_t stride, int thread, int threads) {
  constexpr int kBlock = 1024;
  std::vector<float> in(kBlock);
  std::vector<float> out(kBlock);
  Worst worst;
  for (uint64_t block = thread;; block += threads) {
    const uint64_t first = block * kBlock * stride;
    if (first >= uint64_t{1} << 32) return worst;
    for (int i = 0; i < kBlock; ++i) {
      in[i] = ieee::FromBits(static_cast<uint32_t>(std::min(first + i * stride, uint64_t{0xffffffff})));
    }
    batch(in.data(), kBlock, out.data());
    for (int i = 0; i < kBlock; ++i) worst.See(in[i], out[i], function.exact(in[i]));
  }
}

class ArithmeticTest : public testing::TestWithParam<Function> {};

TEST_P(ArithmeticTest, WithinOneUlpOfTheExactValue) {
  const Function& function = GetParam();
  const bool every_float = std::getenv("EVENKEEL_LONG") != nullptr;
  const uint64_t stride = every_float ? 1 : 211;
  const int threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<Worst> results(threads);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      results[t] = Measure(function, HasFma() ? function.with_fma : function.portable, stride, t, threads);
    });
  }
  Worst worst;
  for (int t = 0; t < threads; ++t) {
    running[t].join();
    worst.Merge(results[t]);
  }
  std::printf("%s: worst error %.4f ulp, at %a (%.9g), over every %s float\n", function.name, worst.ulp, worst.at,
              worst.at, every_float ? "single" : "211th");
  EXPECT_EQ(worst.wrong, 0) << "e.g. at " << worst.wrong_at;
  EXPECT_LT(worst.ulp, function.worst_ulp);
  EXPECT_LT(function.worst_ulp, 1);
}

TEST_P(ArithmeticTest, SameBitsWithAndWithoutTheFmaInstruction) {
  if (!HasFma()) GTEST_SKIP() << "this processor has no fma";
  std::vector<float> in;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 40503) in.push_back(ieee::FromBits(bits));
  std::vector<float> portable(in.size());
  std::vector<float> with_fma(in.size());
  GetParam().portable(in.data(), in.size(), portable.data());
  GetParam().with_fma(in.data(), in.size(), with_fma.data());
  for (size_t i = 0; i < in.size(); ++i) {
    if (std::isnan(portable[i]) && std::isnan(with_fma[i])) continue;
    ASSERT_EQ(ieee::Bits(portable[i]), ieee::Bits(with_fma[i])) << in[i];
  }
}

// FNV-1a of the results at 2^16 arguments, NaNs left out. A compiler, a processor or a change of the source that moves
// one bit of one of them changes it, and with it what every router must compute.
TEST_P(ArithmeticTest, TheDefinitionHasNotChanged) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (uint32_t i = 0; i < 65536; ++i) {
    const float in = ieee::FromBits(i * 65537);
    float out;
    GetParam().portable(&in, 1, &out);
    if (std::isnan(out)) continue;
    for (int byte = 0; byte < 4; ++byte) {
      digest = (digest ^ ((ieee::Bits(out) >> (8 * byte)) & 0xff)) * 0x100000001b3u;
    }
  }
  EXPECT_EQ(digest, GetParam().digest) << std::hex << "0x" << digest;
}

// All five rise with x. Between neighbours that share a rounded value a result may fall, by one ulp at most.
TEST_P(ArithmeticTest, RisesButForAnUlp) {
  for (float start : {-100.0f, -20.0f, -1.0f, -0x1p-20f, 0x1p-24f, 0.01f, 0.7f, 5.0f, 80.0f}) {
    if (GetParam().exact == ExactLog1p && start < -1) continue;
    float x = start;
    float last = -kInfinity;
    for (int i = 0; i < 20000; ++i) {
      float result;
      GetParam().portable(&x, 1, &result);
      ASSERT_GE(result, std::nextafter(last, -kInfinity)) << x;
      last = result;
      x = std::nextafter(x, kInfinity);
    }
  }
}

TEST_P(ArithmeticTest, NanGivesNan) {
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xffc00000u, 0xff800001u, 0xffffffffu}) {
    const float in = ieee::FromBits(bits);
    float out = 0;
    GetParam().portable(&in, 1, &out);
    EXPECT_TRUE(std::isnan(out)) << bits;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ArithmeticTest,
                         testing::Values(Make<ExpOf>("Exp", ExactExp, 0.88, 0x4360d264174aab5f),
                                         Make<Log1pOf>("Log1p", ExactLog1p, 0.58, 0x383d1467c922b3e7),
                                         Make<SigmoidOf>("Sigmoid", ExactSigmoid, 0.95, 0xb2c7931636c0fe96),
                                         Make<SoftplusOf>("Softplus", ExactSoftplus, 0.81, 0x864e08a87c0b7e32),
                                         Make<SqrtSoftplusOf>("SqrtSoftplus", ExactSqrtSoftplus, 0.94,
                                                              0x7e5b046413172228)),
                         [](const testing::TestParamInfo<Function>& info) { return info.param.name; });

TEST(ExpTest, SpecialValues) {
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-0.0f), 1.0f);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Exp(-kInfinity), 0.0f);
  EXPECT_EQ(Exp(0x1.62e43p6f), kInfinity);         // the first float whose exp overflows
  EXPECT_TRUE(std::isfinite(Exp(0x1.62e42ep6f)));  // the one before
  EXPECT_EQ(Exp(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_EQ(Exp(std::numeric_limits<float>::lowest()), 0.0f);
  EXPECT_EQ(Exp(std::numeric_limits<float>::denorm_min()), 1.0f);
  EXPECT_EQ(Exp(-100.0f), 0x1.b48p-145f);  // subnormal, 10 bits
}

// Against the exact difference: where x - m is rounded before, the worst is some 60 ulp.
TEST(ExpOfDifferenceTest, WithinOneUlpOfTheExactValue) {
  double worst = 0;
  for (const float m : {0.0f, 1e-3f, 0.7f, 3.3f, 12.3456f, 88.8f, 123.4567f, -0.1f, -33.3f, -1e4f, 7e4f}) {
    for (int i = 0; i < 1000003; ++i) {
      const float x = m - 105.0f * static_cast<float>(i) / 1000003.0f;
      if (x > m) continue;
      const double exact = std::exp(static_cast<double>(x) - static_cast<double>(m));
      worst = std::max(worst, std::fabs(ExpOfDifference(x, m) - exact) / Ulp(exact));
    }
  }
  std::printf("ExpOfDifference: worst error %.4f ulp\n", worst);
  EXPECT_LT(worst, 1);
}

TEST(ExpOfDifferenceTest, IsExpWhereNothingIsSubtracted) {
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 40503) {
    const float x = ieee::FromBits(static_cast<uint32_t>(bits));
    if (!(x <= 0)) continue;
    ASSERT_EQ(ExpOfDifference(x, 0), Exp(x)) << x;
  }
}

TEST(ExpOfDifferenceTest, SpecialValues) {
  const float greatest = std::numeric_limits<float>::max();
  EXPECT_EQ(ExpOfDifference(3.5f, 3.5f), 1.0f);
  EXPECT_EQ(ExpOfDifference(greatest, greatest), 1.0f);
  EXPECT_EQ(ExpOfDifference(-greatest, greatest), 0.0f);
  EXPECT_EQ(ExpOfDifference(-kInfinity, 2.0f), 0.0f);
  EXPECT_EQ(ExpOfDifference(2.0f, kInfinity), 0.0f);
  EXPECT_EQ(ExpOfDifference(-1e30f, 1e10f), 0.0f);
  EXPECT_TRUE(std::isnan(ExpOfDifference(kInfinity, kInfinity)));
  EXPECT_TRUE(std::isnan(ExpOfDifference(-kInfinity, -kInfinity)));
  EXPECT_TRUE(std::isnan(ExpOfDifference(std::nanf(""), 1.0f)));
  EXPECT_TRUE(std::isnan(ExpOfDifference(1.0f, std::nanf(""))));
}

TEST(Log1pTest, SpecialValues) {
  EXPECT_EQ(Log1p(0.0f), 0.0f);
  EXPECT_EQ(Log1p(kInfinity), kInfinity);
  EXPECT_EQ(Log1p(-1.0f), -kInfinity);
  EXPECT_TRUE(std::isnan(Log1p(-1.0000001f)));
  EXPECT_TRUE(std::isnan(Log1p(-kInfinity)));
  const float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(Log1p(smallest), smallest);
  EXPECT_EQ(Log1p(-smallest), -smallest);
}

TEST(SigmoidTest, SpecialValues) {
  EXPECT_EQ(Sigmoid(0.0f), 0.5f);
  EXPECT_EQ(Sigmoid(-0.0f), 0.5f);
  EXPECT_EQ(Sigmoid(kInfinity), 1.0f);
  EXPECT_EQ(Sigmoid(-kInfinity), 0.0f);
  EXPECT_EQ(Sigmoid(200.0f), 1.0f);
  EXPECT_EQ(Sigmoid(-200.0f), 0.0f);
  EXPECT_EQ(Sigmoid(-100.0f), Exp(-100.0f));  // where 1 / (1 + exp(100)) would be 0
}

TEST(SigmoidTest, MirrorsExactly) {
  for (float x = 0x1p-30f; x < 200; x *= 1.001f) {
    ASSERT_EQ(Sigmoid(x), 1.0f - Sigmoid(-x)) << x;
  }
}

TEST(SoftplusTest, SpecialValues) {
  for (const auto function : {+[](float x) { return Softplus(x); }, +[](float x) { return SqrtSoftplus(x); }}) {
    EXPECT_EQ(function(-kInfinity), 0.0f);
    EXPECT_EQ(function(kInfinity), kInfinity);
    EXPECT_EQ(function(std::numeric_limits<float>::lowest()), 0.0f);
  }
  EXPECT_EQ(Softplus(0.0f), 0x1.62e43p-1f);  // log 2
  EXPECT_EQ(Softplus(1000.0f), 1000.0f);     // where log(1 + exp(x)) would be infinite
  EXPECT_EQ(SqrtSoftplus(10000.0f), 100.0f);
  EXPECT_EQ(Softplus(-150.0f), 0.0f);
  EXPECT_EQ(SqrtSoftplus(-150.0f), Exp(-75.0f));  // its square is 0 as a float
}

}  // namespace
}  // namespace evenkeel::routing
