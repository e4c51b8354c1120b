#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/naive_gradient.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"

// Every backward pass against the gradient in double: by finite differences and by dual numbers of another forward
// pass, and against gradients that are known.
namespace evenkeel::routing {
namespace {

constexpr Score kScores[] = {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit};
constexpr Weight kWeights[] = {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected,
                               Weight::kSigmoidOfSelected};
constexpr Gradients kGradients[] = {Gradients::kByWeights, Gradients::kDense, Gradients::kBoth};

std::vector<float> Normal(std::mt19937& random, int64_t size, float mean, float deviation) {
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

template <typename To, typename From>
std::vector<To> Row(const std::vector<From>& matrix, int64_t t, int columns) {
  if (matrix.empty()) return std::vector<To>(columns, To{0});
  return {matrix.begin() + t * columns, matrix.begin() + (t + 1) * columns};
}

NaiveLoss LossOf(const BackwardProblem& problem, int64_t t) {
  const RouteSpec& spec = problem.spec;
  return {spec, Row<int32_t>(problem.ids, t, spec.top_k), Row<double>(problem.d_weights, t, spec.top_k),
          Row<double>(problem.d_probabilities, t, spec.num_experts)};
}

class BackwardGradientTest : public BackwardTest {};

INSTANTIATE_TEST_SUITE_P(All, BackwardGradientTest, testing::ValuesIn(BackwardsUnderTest()), BackwardName);

// What normalising divides by, in the test of finite differences.
struct Divisor {
  const char* name;
  bool normalize;
  float epsilon;
  float min;
};
constexpr Divisor kDivisors[] = {
    {"none", false, 0, 0}, {"the sum", true, 0, 0}, {"the sum and epsilon", true, 0.3f, 1e-12f}, {"min", true, 0, 40}};

std::vector<RouteSpec> AllKindsOfSpec() {
  std::vector<RouteSpec> specs;
  for (const Score score : kScores) {
    for (const Weight weight : kWeights) {
      for (const Divisor& divisor : kDivisors) {
        for (const bool scale_before_bias : {false, true}) {
          for (const int num_groups : {0, 4}) {
            RouteSpec spec;
            spec.num_experts = 12;
            spec.top_k = 5;
            spec.score = score;
            spec.weight = weight;
            spec.num_groups = num_groups;
            spec.top_groups = 2;
            spec.normalize = divisor.normalize;
            spec.normalize_epsilon = divisor.epsilon;
            spec.normalize_min = divisor.min;
            spec.scale = 2.5f;
            spec.scale_before_bias = scale_before_bias;
            specs.push_back(spec);
          }
        }
      }
    }
  }
  return specs;
}

TEST_P(BackwardGradientTest, Pitfall34IsWhatFiniteDifferencesSay) {
  std::mt19937 random(1);
  int rows = 0;
  int cancelled = 0;
  for (const RouteSpec& spec : AllKindsOfSpec()) {
    for (const Gradients gradients : kGradients) {
      SCOPED_TRACE(absl::StrCat(Describe(spec), " gradients=", static_cast<int>(gradients)));
      const std::vector<float> logits = Normal(random, 3 * spec.num_experts, 0.5f, 1.5f);
      const std::vector<float> bias = Normal(random, spec.num_experts, 0, 0.2f);
      const BackwardProblem problem = MakeBackwardProblem(random, spec, logits, bias, gradients);
      const std::vector<float> d_logits = TakeBack(problem);
      for (int64_t t = 0; t < problem.rows(); ++t) {
        const NaiveLoss loss = LossOf(problem, t);
        const std::vector<double> row = Row<double>(logits, t, spec.num_experts);
        const std::vector<double> expected = GradientByDifferences(loss, row);
        const std::vector<double> scale = GradientScale(loss, row);
        const double noise = 1e-9 * (1 + std::fabs(loss.Of(row)));
        ++rows;
        if (*std::max_element(scale.begin(), scale.end()) > 100) {
          ++cancelled;  // a normaliser near 0, of which differences make nothing
          continue;
        }
        for (int e = 0; e < spec.num_experts; ++e) {
          ASSERT_NEAR(d_logits[t * spec.num_experts + e], expected[e], 2e-6 * scale[e] + noise)
              << "row " << t << ", expert " << e;
        }
      }
    }
  }
  EXPECT_LT(cancelled, rows / 50);
}

// Short slots and logits that are not finite, at chosen and at other experts.
TEST_P(BackwardGradientTest, IsWhatFiniteDifferencesSayOfOddRows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::mt19937 random(2);
  for (const RouteSpec& spec : AllKindsOfSpec()) {
    SCOPED_TRACE(Describe(spec));
    const std::vector<float> logits = Normal(random, 6 * spec.num_experts, 1.5f, 1);
    BackwardProblem problem = MakeBackwardProblem(random, spec, logits, {}, Gradients::kBoth);
    const auto logit = [&](int64_t t, int e) -> float& { return problem.logits[t * spec.num_experts + e]; };
    const auto id = [&](int64_t t, int slot) -> int32_t& { return problem.ids[t * spec.top_k + slot]; };
    logit(0, id(0, 1)) = std::nanf("");
    logit(1, id(1, 1)) = kInfinity;
    logit(2, id(2, 1)) = -kInfinity;
    id(3, 0) = -1;
    id(3, 3) = spec.num_experts;
    id(4, 4) = std::numeric_limits<int32_t>::min();
    for (const float odd : {std::nanf(""), kInfinity, -kInfinity}) {
      for (int e = 0; e < spec.num_experts; ++e) {
        const auto chosen = problem.ids.begin() + 5 * spec.top_k;
        if (std::find(chosen, problem.ids.end(), e) == problem.ids.end()) logit(5, e) = odd;
      }
      const std::vector<float> d_logits = TakeBack(problem);
      for (int64_t t = 0; t < problem.rows(); ++t) {
        NaiveLoss loss = LossOf(problem, t);
        for (int32_t& chosen : loss.ids) chosen = chosen < spec.num_experts ? std::max(chosen, -1) : -1;
        const std::vector<double> expected =
            GradientByDifferences(loss, Row<double>(problem.logits, t, spec.num_experts));
        for (int e = 0; e < spec.num_experts; ++e) {
          ASSERT_NEAR(d_logits[t * spec.num_experts + e], expected[e], 3e-5)
              << "row " << t << ", expert " << e << ", " << odd;
        }
      }
    }
  }
}

// The error of an element is below (8 + d) 2^-24 of the sum of the absolute terms it is made of. d is by how much the
// row's maximum exceeds the element's logit and the least chosen one: x - m is rounded, which exp turns into a relative
// error.
TEST_P(BackwardGradientTest, IsAccurate) {
  double worst = 0;
  int rows = 0;
  int skipped = 0;
  for (uint32_t seed = 0; seed < 10 * std::size(kExpertCounts); ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    const Problem routed = RandomProblem(random, spec, spec.num_experts > 256 ? 1 : 4);
    const BackwardProblem problem = MakeBackwardProblem(random, spec, routed.logits, routed.bias,
                                                        Pick(random, {kGradients[0], kGradients[1], kGradients[2]}));
    const std::vector<float> d_logits = TakeBack(problem);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      const NaiveLoss loss = LossOf(problem, t);
      const std::vector<double> row = Row<double>(routed.logits, t, spec.num_experts);
      const std::vector<double> scale = GradientScale(loss, row);
      ++rows;
      if (*std::max_element(scale.begin(), scale.end()) > 1000) {
        ++skipped;
        continue;
      }
      const std::vector<double> exact = GradientByDuals(loss, row);
      double least = HUGE_VAL;
      for (const int32_t id : loss.ids) least = id < 0 ? least : std::fmin(least, row[id]);
      const double maximum = *std::max_element(row.begin(), row.end());
      for (int e = 0; e < spec.num_experts; ++e) {
        const double spread = 8 + maximum - std::fmin(least, row[e]);
        const double error = std::fabs(d_logits[t * spec.num_experts + e] - exact[e]);
        const double bound = spread * std::ldexp(scale[e], -24) + 1e-40;
        ASSERT_LE(error, bound) << "row " << t << ", expert " << e << ", exact " << exact[e];
        worst = std::fmax(worst, error / bound);
      }
    }
  }
  std::printf("worst error: %.3f of the bound; %d of %d rows skipped\n", worst, skipped, rows);
  EXPECT_LT(skipped, rows / 20);
}

// --- gradients that are known

RouteSpec Plain(Score score, Weight weight, int num_experts, int top_k) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

BackwardProblem OneRow(const RouteSpec& spec, const std::vector<float>& logits, const std::vector<int32_t>& ids,
                       const std::vector<float>& d_weights) {
  BackwardProblem problem;
  problem.spec = spec;
  problem.logits = logits;
  problem.ids = ids;
  problem.d_weights = d_weights;
  return problem;
}

using Row4 = std::vector<float>;

TEST_P(BackwardGradientTest, OfLogitsTheyAreTheIncomingOnesScaled) {
  RouteSpec spec = Plain(Score::kLogit, Weight::kScore, 4, 2);
  spec.scale = 4;
  EXPECT_EQ(TakeBack(OneRow(spec, {1, 2, 3, 4}, {3, 1}, {0.5f, -2})), (Row4{0, -8, 0, 2}));
}

TEST_P(BackwardGradientTest, OfASigmoidAtZeroTheyAreAQuarter) {
  const RouteSpec spec = Plain(Score::kSigmoid, Weight::kScore, 4, 2);
  EXPECT_EQ(TakeBack(OneRow(spec, {0, 0, 0, 0}, {2, 0}, {4, 8})), (Row4{2, 0, 1, 0}));
}

TEST_P(BackwardGradientTest, OfASoftmaxTheyReachAllAndAddUpToNothing) {
  const RouteSpec spec = Plain(Score::kLogit, Weight::kSoftmax, 4, 1);
  // p = 1/4: p (1 - p) of the chosen, -p^2 of the others.
  EXPECT_EQ(TakeBack(OneRow(spec, {3, 3, 3, 3}, {1}, {16})), (Row4{-1, 3, -1, -1}));
}

TEST_P(BackwardGradientTest, OfASoftmaxOfTheSelectedTheyReachTheSelected) {
  const RouteSpec spec = Plain(Score::kLogit, Weight::kSoftmaxOfSelected, 4, 2);
  EXPECT_EQ(TakeBack(OneRow(spec, {9, 3, 9, 3}, {1, 3}, {4, 8})), (Row4{0, -1, 0, 1}));
}

// Weights that always add up to the scale cannot be moved by one gradient for all.
TEST_P(BackwardGradientTest, NormalisedWeightsDoNotFeelWhatAllOfThemFeel) {
  for (const Score score : {Score::kSigmoid, Score::kSqrtSoftplus}) {
    RouteSpec spec = Plain(score, Weight::kScore, 4, 4);
    spec.normalize = true;
    EXPECT_EQ(TakeBack(OneRow(spec, {1, 1, 1, 1}, {0, 1, 2, 3}, {8, 8, 8, 8})), (Row4{0, 0, 0, 0}));
  }
}

// The scores are subnormal numbers, and their sum divides a gradient of ordinary size without passing through infinity.
// n = 1/2 each, and the derivative of the logarithm of a sigmoid is 1 far down: n (g - mean) = 1/2 (1 - 1/2).
TEST_P(BackwardGradientTest, OfAnUnderflowingNormaliserTheyAreOrdinary) {
  for (const bool scale_before_bias : {false, true}) {
    RouteSpec spec = Plain(Score::kSigmoid, Weight::kScore, 4, 2);
    spec.normalize = true;
    spec.scale_before_bias = scale_before_bias;
    EXPECT_EQ(TakeBack(OneRow(spec, {5, 5, -95, -95}, {2, 3}, {1, 0})), (Row4{0, 0, 0.25f, -0.25f}));
    spec.score = Score::kSoftmax;
    EXPECT_EQ(TakeBack(OneRow(spec, {0, -90, -95, -95}, {2, 3}, {1, 0})), (Row4{0, 0, 0.25f, -0.25f}));
  }
}

// A gradient that is lost in y (1 - y), with y rounded to 1.
TEST_P(BackwardGradientTest, OfASaturatedSigmoidTheyAreNotZero) {
  const RouteSpec spec = Plain(Score::kSigmoid, Weight::kScore, 1, 1);
  EXPECT_FLOAT_EQ(TakeBack(OneRow(spec, {30}, {0}, {1}))[0], std::exp(-30.0));
}

}  // namespace
}  // namespace evenkeel::routing
