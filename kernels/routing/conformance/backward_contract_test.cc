#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/sparse_matrix.h"
#include "kernels/routing/reference/matrix_row.h"
#include "kernels/routing/reference/reference_router.h"

// The sentences of route_backward.h, of every backward pass. TakeBack() writes into poison, between forbidden pages,
// and checks that every row is written wholly and nothing else.
namespace evenkeel::routing {
namespace {

using ::testing::Each;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class BackwardContractTest : public BackwardTest {
 protected:
  absl::Status Backward(const RouteSpec& spec, const RouteBackwardInput& input,
                        const RouteBackwardOutput& output) const {
    return GetParam().backward(spec, input, output);
  }
};

INSTANTIATE_TEST_SUITE_P(All, BackwardContractTest, testing::ValuesIn(BackwardsUnderTest()), BackwardName);

RouteSpec Spec(int num_experts, int top_k, Score score, Weight weight) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

// One for each way back there is, normalised and not.
std::vector<RouteSpec> EveryWayBack(int num_experts, int top_k) {
  std::vector<RouteSpec> specs;
  for (const bool normalize : {false, true}) {
    for (const Weight weight :
         {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected}) {
      for (const Score score : {Score::kSigmoid, Score::kSqrtSoftplus, Score::kLogit, Score::kSoftmax}) {
        if (weight != Weight::kScore && score != Score::kLogit) continue;
        specs.push_back(Spec(num_experts, top_k, score, weight));
        specs.back().normalize = normalize;
        specs.back().normalize_epsilon = 1e-20f;
        specs.back().scale = 2.5f;
      }
    }
  }
  return specs;
}

std::vector<float> Normal(int64_t size, uint32_t seed, float mean = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(mean, 2);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

BackwardProblem MakeProblem(const RouteSpec& spec, int64_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  // Mostly positive: a sum of logits is then a normaliser.
  return MakeBackwardProblem(random, spec, Normal(rows * spec.num_experts, seed, 3), {}, Gradients::kBoth);
}

BackwardProblem RowOf(const BackwardProblem& problem, int64_t t) {
  const int experts = problem.spec.num_experts;
  const int top_k = problem.spec.top_k;
  const auto slice = [t](const auto& matrix, int columns) {
    return std::vector(matrix.begin() + t * columns, matrix.begin() + (t + 1) * columns);
  };
  return {problem.spec, slice(problem.logits, experts), slice(problem.ids, top_k), slice(problem.d_weights, top_k),
          slice(problem.d_probabilities, experts)};
}

// --- given the ids, nothing depends on the bias

TEST_P(BackwardContractTest, BiasesThatChooseTheSameChangeNothing) {
  for (const RouteSpec& spec : EveryWayBack(64, 6)) {
    SCOPED_TRACE(Describe(spec));
    const std::vector<float> logits = Normal(16 * 64, 1, 3);
    const std::vector<float> first_bias = Normal(64, 2);
    std::vector<float> second_bias = first_bias;
    for (float& bias : second_bias) bias += 0.125f;
    std::mt19937 random(3);
    const BackwardProblem first = MakeBackwardProblem(random, spec, logits, first_bias, Gradients::kBoth);
    BackwardProblem second = MakeBackwardProblem(random, spec, logits, second_bias, Gradients::kBoth);
    const BackwardProblem unbiased = MakeBackwardProblem(random, spec, logits, {}, Gradients::kBoth);
    ASSERT_EQ(second.ids, first.ids);
    ASSERT_NE(unbiased.ids, first.ids);  // the bias does something
    second.d_weights = first.d_weights;
    second.d_probabilities = first.d_probabilities;
    ExpectSameBits(TakeBack(second), TakeBack(first));
  }
}

// The weights that RouteReference gives to replayed ids, whatever its bias, move as the gradient says.
TEST_P(BackwardContractTest, IsTheGradientOfTheReplayedForwardPass) {
  constexpr float kStep = 0x1p-6f;
  for (const RouteSpec& spec : EveryWayBack(16, 4)) {
    SCOPED_TRACE(Describe(spec));
    const BackwardProblem problem = MakeProblem(spec, 1, 4);
    Problem replay;
    replay.spec = spec;
    replay.bias = Normal(16, 5);
    replay.replay = problem.ids;
    const auto loss = [&](int e, float step) {
      replay.logits = problem.logits;
      replay.logits[e] += step;
      const Routed routed = RouteAndCheck(RouteReference, replay);
      double sum = 0;
      for (int slot = 0; slot < 4; ++slot) sum += static_cast<double>(routed.weights[slot]) * problem.d_weights[slot];
      for (int i = 0; i < 16; ++i) sum += static_cast<double>(routed.probabilities[i]) * problem.d_probabilities[i];
      return sum;
    };
    const std::vector<float> d_logits = TakeBack(problem);
    for (int e = 0; e < 16; ++e) {
      EXPECT_NEAR(d_logits[e], (loss(e, kStep) - loss(e, -kStep)) / (2 * kStep), 2e-3) << "expert " << e;
    }
  }
}

// --- what goes in

TEST_P(BackwardContractTest, ADenseGradientIsThatOfTheChosenWeights) {
  for (const RouteSpec& spec : EveryWayBack(60, 4)) {
    SCOPED_TRACE(Describe(spec));
    BackwardProblem by_weights = MakeProblem(spec, 8, 6);
    BackwardProblem dense = by_weights;
    by_weights.d_probabilities.clear();
    dense.d_weights.clear();
    dense.d_probabilities.assign(8 * 60, kNan);  // not read but at the chosen experts
    for (int64_t t = 0; t < 8; ++t) {
      for (int slot = 0; slot < 4; ++slot) {
        dense.d_probabilities[t * 60 + dense.ids[t * 4 + slot]] = by_weights.d_weights[t * 4 + slot];
      }
    }
    ExpectSameBits(TakeBack(dense), TakeBack(by_weights));
  }
}

float RoundTo(DType dtype, float value) {
  uint16_t narrow;
  if (dtype == DType::kF32) return value;
  WriteFloats(&value, 1, &narrow, dtype, 0);
  ReadFloats(&narrow, dtype, 0, 1, &value);
  return value;
}

TEST_P(BackwardContractTest, EveryLayoutIsTheSameFloatsRounded) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const RouteSpec spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    const BackwardLayout layout = RandomBackwardLayout(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec), ", ", Describe(layout)));
    const int64_t rows = 1 + random() % 5;
    BackwardProblem problem =
        MakeBackwardProblem(random, spec, RandomProblem(random, spec, rows).logits, {},
                            Pick(random, {Gradients::kByWeights, Gradients::kDense, Gradients::kBoth}));
    const std::vector<float> d_logits = TakeBack(problem, layout);
    for (float& logit : problem.logits) logit = RoundTo(layout.logits_dtype, logit);
    for (float& gradient : problem.d_weights) gradient = RoundTo(layout.d_weights_dtype, gradient);
    std::vector<float> expected = TakeBack(problem);
    for (float& gradient : expected) gradient = RoundTo(layout.d_logits_dtype, gradient);
    ExpectSameBits(d_logits, expected);
    if (HasFailure()) return;
  }
}

TEST_P(BackwardContractTest, RowsBeyondTwoToTheThirtyOneElements) {
  if (GetParam().copies) GTEST_SKIP() << "too great to copy; device_size_test has them";
  constexpr int64_t kStride = (int64_t{1} << 31) + 5;
  constexpr int kRows = 3;
  for (const Weight weight : {Weight::kScore, Weight::kSoftmax}) {
    const BackwardProblem problem = MakeProblem(Spec(64, 6, Score::kSigmoid, weight), kRows, 7);
    const std::vector<float> expected = TakeBack(problem);
    constexpr int64_t kSize = kStride * (kRows - 1) + 64;
    SparseMatrix<float> logits(kSize);
    SparseMatrix<int32_t> ids(kSize);
    SparseMatrix<float> d_weights(kSize);
    SparseMatrix<float> d_probabilities(kSize);
    SparseMatrix<float> d_logits(kSize);
    ASSERT_TRUE(logits.ok() && ids.ok() && d_weights.ok() && d_probabilities.ok() && d_logits.ok());
    for (int64_t t = 0; t < kRows; ++t) {
      std::copy_n(&problem.logits[t * 64], 64, logits.data() + t * kStride);
      std::copy_n(&problem.ids[t * 6], 6, ids.data() + t * kStride);
      std::copy_n(&problem.d_weights[t * 6], 6, d_weights.data() + t * kStride);
      std::copy_n(&problem.d_probabilities[t * 64], 64, d_probabilities.data() + t * kStride);
    }
    RouteBackwardInput input;
    input.logits = logits.data();
    input.rows = kRows;
    input.ids = ids.data();
    input.d_weights = d_weights.data();
    input.d_probabilities = d_probabilities.data();
    input.logits_stride = input.ids_stride = input.d_weights_stride = input.d_probabilities_stride = kStride;
    RouteBackwardOutput output;
    output.d_logits = d_logits.data();
    output.d_logits_stride = kStride;
    ASSERT_TRUE(Backward(problem.spec, input, output).ok());
    for (int64_t t = 0; t < kRows; ++t) {
      ExpectSameBits({d_logits.data() + t * kStride, d_logits.data() + t * kStride + 64},
                     {expected.begin() + t * 64, expected.begin() + (t + 1) * 64});
    }
  }
}

// Whatever the width of a pass's stores.
TEST_P(BackwardContractTest, AMatrixMayBeginAtAnyElement) {
  for (const RouteSpec& spec : EveryWayBack(64, 6)) {
    SCOPED_TRACE(Describe(spec));
    const BackwardProblem problem = MakeProblem(spec, 2, 17);
    const std::vector<float> expected = TakeBack(problem);
    for (int first = 0; first < 4; ++first) {
      std::vector<float> d_logits(2 * 64 + 8, -7);
      RouteBackwardInput input;
      input.logits = problem.logits.data();
      input.rows = 2;
      input.ids = problem.ids.data();
      input.d_weights = problem.d_weights.data();
      input.d_probabilities = problem.d_probabilities.data();
      input.logits_stride = input.d_probabilities_stride = 64;
      input.ids_stride = input.d_weights_stride = 6;
      RouteBackwardOutput output;
      output.d_logits = d_logits.data() + first;
      output.d_logits_stride = 64;
      ASSERT_TRUE(Backward(spec, input, output).ok());
      ExpectSameBits({d_logits.begin() + first, d_logits.begin() + first + 2 * 64}, expected);
      EXPECT_EQ(std::count(d_logits.begin(), d_logits.end(), -7), 8);
    }
  }
}

TEST_P(BackwardContractTest, AnIdOfSixtyFourBitsIsNotCutShort) {
  const RouteSpec spec = Spec(4, 2, Score::kLogit, Weight::kScore);
  const float logits[] = {1, 2, 3, 4};
  const int64_t ids[] = {(int64_t{1} << 32) + 1, 2};
  const float d_weights[] = {8, 16};
  float d_logits[] = {-7, -7, -7, -7};
  RouteBackwardInput input;
  input.logits = logits;
  input.rows = 1;
  input.logits_stride = 4;
  input.ids = ids;
  input.id_type = IdType::kInt64;
  input.ids_stride = 2;
  input.d_weights = d_weights;
  input.d_weights_stride = 2;
  RouteBackwardOutput output;
  output.d_logits = d_logits;
  output.d_logits_stride = 4;
  ASSERT_TRUE(Backward(spec, input, output).ok());
  EXPECT_THAT(d_logits, testing::ElementsAre(0, 0, 16, 0));
}

TEST_P(BackwardContractTest, NoRowsAreNoWork) {
  EXPECT_TRUE(Backward(Spec(4, 2, Score::kLogit, Weight::kScore), {}, {}).ok());
}

TEST_P(BackwardContractTest, WhatIsRefusedIsNotWritten) {
  const float logits[] = {1, 2, 3, 4};
  const int32_t ids[] = {1, 2};
  float d_logits[] = {-7, -7, -7, -7};
  RouteBackwardInput input;
  input.logits = logits;
  input.rows = 1;
  input.logits_stride = 4;
  input.ids = ids;
  input.ids_stride = 2;
  RouteBackwardOutput output;
  output.d_logits = d_logits;
  output.d_logits_stride = 4;
  const absl::Status status = Backward(Spec(4, 2, Score::kLogit, Weight::kScore), input, output);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(d_logits, Each(-7));
}

// --- rows

TEST_P(BackwardContractTest, ARowIsTheSameBitsAloneAndInABatch) {
  for (const RouteSpec& spec : EveryWayBack(144, 8)) {
    SCOPED_TRACE(Describe(spec));
    const BackwardProblem problem = MakeProblem(spec, 33, 8);
    const std::vector<float> all = TakeBack(problem);
    for (int64_t t = 0; t < 33; ++t) {
      ExpectSameBits(TakeBack(RowOf(problem, t)), {all.begin() + t * 144, all.begin() + (t + 1) * 144});
    }
  }
}

// Short slots, and dead ones where the spec makes them, are as if they were not there: whatever their gradient.
TEST_P(BackwardContractTest, DeadSlotsTakePartInNothing) {
  for (const RouteSpec& spec : EveryWayBack(60, 5)) {
    SCOPED_TRACE(Describe(spec));
    BackwardProblem problem = MakeProblem(spec, 4, 9);
    problem.d_probabilities.clear();
    problem.ids[0] = -1;
    problem.ids[7] = 60;
    problem.ids[14] = INT32_MIN;
    problem.logits[3 * 60 + problem.ids[3 * 5 + 2]] = kNan;
    const std::vector<int64_t> dead = {0, 7, 14, 17};
    for (const int64_t slot : dead) problem.d_weights[slot] = 0;
    const std::vector<float> expected = TakeBack(problem);
    for (const float odd : {1e30f, kInfinity, kNan}) {
      for (const int64_t slot : dead) problem.d_weights[slot] = odd;
      ExpectSameBits(TakeBack(problem), expected);
    }
    for (const float d_logit : expected) ASSERT_TRUE(std::isfinite(d_logit));
    ASSERT_EQ(expected[3 * 60 + problem.ids[3 * 5 + 2]], 0);
  }
}

TEST_P(BackwardContractTest, AMaskedRowHasNoGradientWhateverItHolds) {
  for (const RouteSpec& spec : EveryWayBack(60, 5)) {
    SCOPED_TRACE(Describe(spec));
    const BackwardProblem whole = MakeProblem(spec, 3, 10);
    BackwardProblem masked = whole;
    std::fill_n(masked.ids.begin() + 5, 5, -1);
    std::fill_n(masked.d_weights.begin() + 5, 5, kNan);
    std::fill_n(masked.d_probabilities.begin() + 60, 60, kInfinity);
    for (const float logit : {0.0f, kNan, -kInfinity}) {
      std::fill_n(masked.logits.begin() + 60, 60, logit);
      std::vector<float> expected = TakeBack(whole);
      std::fill_n(expected.begin() + 60, 60, 0.0f);
      ExpectSameBits(TakeBack(masked), expected);
    }
  }
}

TEST_P(BackwardContractTest, ARowWhoseSoftmaxIsNanHasNoGradient) {
  for (const RouteSpec& spec :
       {Spec(60, 5, Score::kLogit, Weight::kSoftmax), Spec(60, 5, Score::kSoftmax, Weight::kScore)}) {
    BackwardProblem problem = MakeProblem(spec, 1, 11);
    for (const float odd : {kNan, kInfinity}) {
      problem.logits[7] = odd;
      ExpectSameBits(TakeBack(problem), std::vector<float>(60, 0.0f));
    }
  }
}

// Weights that are 0 for want of a divisor do not move: the forward pass is asked whether they are.
TEST_P(BackwardContractTest, WhereTheNormaliserIsNotUsableThereIsNoGradient) {
  struct Case {
    Score score;
    Weight weight;
    float chosen;  // logit
  };
  for (const Case& c : {Case{Score::kSigmoid, Weight::kScore, -200}, Case{Score::kSqrtSoftplus, Weight::kScore, -300},
                        Case{Score::kSoftmax, Weight::kScore, -200}, Case{Score::kLogit, Weight::kSoftmax, -200},
                        Case{Score::kLogit, Weight::kSigmoidOfSelected, -200}, Case{Score::kLogit, Weight::kScore, -1},
                        Case{Score::kLogit, Weight::kScore, 3e38f}}) {
    RouteSpec spec = Spec(8, 2, c.score, c.weight);
    spec.normalize = true;
    SCOPED_TRACE(Describe(spec));
    BackwardProblem problem = MakeProblem(spec, 1, 12);
    problem.logits.assign(8, 0.0f);
    problem.ids = {5, 2};
    problem.logits[5] = problem.logits[2] = c.chosen;
    Problem forward;
    forward.spec = spec;
    forward.logits = problem.logits;
    forward.replay = problem.ids;
    ASSERT_THAT(RouteAndCheck(RouteReference, forward).weights, Each(0));
    ExpectSameBits(TakeBack(problem), std::vector<float>(8, 0.0f));
  }
}

TEST_P(BackwardContractTest, WhereTheMinimumMadeTheDivisorItDoesNotMove) {
  RouteSpec spec = Spec(8, 2, Score::kLogit, Weight::kScore);
  spec.normalize = true;
  spec.normalize_min = 8;
  BackwardProblem problem = MakeProblem(spec, 1, 13);
  problem.logits = {0, 1, 0, 0, 0, 2, 0, 0};
  problem.ids = {5, 1};
  problem.d_weights = {4, 16};
  problem.d_probabilities.clear();
  EXPECT_EQ(TakeBack(problem), (std::vector<float>{0, 2, 0, 0, 0, 0.5f, 0, 0}));
  // Where the two are equal the sum did: n = {3/4, 1/4}, mean 7.
  problem.logits = {0, 2, 0, 0, 0, 6, 0, 0};
  EXPECT_EQ(TakeBack(problem), (std::vector<float>{0, 9.0f / 8, 0, 0, 0, -3.0f / 8, 0, 0}));
}

// A loss scaler must see what overflowed.
TEST_P(BackwardContractTest, GradientsThatAreNotFiniteAreNotSwallowed) {
  for (const RouteSpec& spec : EveryWayBack(60, 5)) {
    SCOPED_TRACE(Describe(spec));
    for (const float odd : {kInfinity, -kInfinity, kNan}) {
      BackwardProblem problem = MakeProblem(spec, 2, 14);
      problem.d_weights[3] = odd;
      const std::vector<float> d_logits = TakeBack(problem);
      EXPECT_FALSE(std::isfinite(d_logits[problem.ids[3]]));
      EXPECT_TRUE(std::all_of(d_logits.begin() + 60, d_logits.end(), [](float d) { return std::isfinite(d); }));
    }
  }
}

TEST_P(BackwardContractTest, AsManySlotsAsExperts) {
  for (const RouteSpec& spec : EveryWayBack(16, 16)) {
    SCOPED_TRACE(Describe(spec));
    const BackwardProblem problem = MakeProblem(spec, 4, 15);
    for (const float d_logit : TakeBack(problem)) EXPECT_NE(d_logit, 0);
  }
}

TEST_P(BackwardContractTest, CallsThatShareNoOutputRunAtOnce) {
  const BackwardProblem problem = MakeProblem(Spec(256, 8, Score::kSoftmax, Weight::kScore), 64, 16);
  const std::vector<float> expected = TakeBack(problem);
  std::vector<std::vector<float>> d_logits(4, std::vector<float>(64 * 256));
  std::vector<std::thread> threads;
  for (auto& own : d_logits) {
    threads.emplace_back([&problem, &own, this] {
      RouteBackwardInput input;
      input.logits = problem.logits.data();
      input.rows = 64;
      input.logits_stride = 256;
      input.ids = problem.ids.data();
      input.ids_stride = 8;
      input.d_weights = problem.d_weights.data();
      input.d_weights_stride = 8;
      input.d_probabilities = problem.d_probabilities.data();
      input.d_probabilities_stride = 256;
      RouteBackwardOutput output;
      output.d_logits = own.data();
      output.d_logits_stride = 256;
      EXPECT_TRUE(Backward(problem.spec, input, output).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(d_logits, Each(expected));
}

}  // namespace
}  // namespace evenkeel::routing
