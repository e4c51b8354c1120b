#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/conformance/naive_router.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/conformance/sparse_matrix.h"
#include "kernels/routing/half.h"

// The degenerate rows, shapes and modes of route.h. RouteAndCheck() fills every output with poison first and checks
// what holds of all results.
namespace evenkeel::routing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

RouteSpec Sigmoids(int num_experts, int top_k) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  return spec;
}

RouteSpec FamilySpec(const std::string& name) {
  for (const Family& family : Families()) {
    if (family.name == name) return family.spec;
  }
  ADD_FAILURE() << "no family " << name;
  return {};
}

std::vector<float> Normal(int64_t size, uint32_t seed, float deviation = 2) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<int32_t> FirstIds(int count) {
  std::vector<int32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// --- ties

using TieTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, TieTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(TieTest, AllEqualTakesTheLowestIds) {
  for (const Family& family : Families()) {
    const std::vector<float> equal(family.spec.num_experts, 0.25f);
    EXPECT_THAT(RouteRow(family.spec, equal).ids, ElementsAreArray(FirstIds(family.spec.top_k))) << family.name;
  }
}

TEST_P(TieTest, MinusZeroEqualsPlusZero) {
  RouteSpec spec = Sigmoids(4, 4);
  spec.score = Score::kLogit;
  EXPECT_THAT(RouteRow(spec, {-0.0f, 0.0f, -0.0f, 0.0f}).ids, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(RouteRow(spec, {-0.0f, 0.0f, -0.0f, 0.0f}, {-0.0f, -0.0f, -0.0f, -0.0f}).ids, ElementsAre(0, 1, 2, 3));
}

TEST_P(TieTest, BFloat16LogitsOf384Experts) {
  Problem problem;
  problem.spec = Sigmoids(384, 8);
  problem.logits = Normal(384 * 64, 1);
  for (float& logit : problem.logits) logit = FloatFromBFloat16(BFloat16FromFloat(logit));
  const Routed routed = RouteAndCheck(problem);
  int rows_with_ties = 0;
  for (int64_t t = 0; t < problem.rows(); ++t) {
    const NaiveIds naive = NaiveSelect(problem.spec, problem.row(t), {}, Precision::kFloat);
    EXPECT_EQ(routed.row_ids(t), naive.ids) << t;
    rows_with_ties += naive.margin == 0;
  }
  EXPECT_GT(rows_with_ties, 16);
}

// --- bias

using BiasTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, BiasTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

// At 7 a bfloat16 has steps of 1/32, and (score + bias) - bias has lost 3 bits of the score.
TEST_P(BiasTest, OffsetOfSevenWithSpreadOfOneThousandth) {
  Problem problem;
  problem.spec = Sigmoids(256, 8);
  problem.logits = Normal(256 * 32, 2, 1e-3f);
  problem.bias = Normal(256, 3, 1e-3f);
  for (float& bias : problem.bias) bias += 7;
  const Routed routed = RouteAndCheck(problem);
  for (int64_t t = 0; t < problem.rows(); ++t) {
    const std::vector<float> row = problem.row(t);
    EXPECT_EQ(routed.row_ids(t), NaiveSelect(problem.spec, row, problem.bias, Precision::kFloat).ids) << t;
    for (int slot = 0; slot < 8; ++slot) {
      EXPECT_EQ(routed.row_weights(t)[slot], Sigmoid(row[routed.row_ids(t)[slot]]));
    }
  }
}

TEST_P(BiasTest, AllBiasedScoresBelowMinusOne) {
  const std::vector<float> bias(8, -5.0f);
  EXPECT_THAT(RouteRow(Sigmoids(8, 4), {0, 1, 2, 3, 4, 5, 6, 7}, bias).ids, ElementsAre(7, 6, 5, 4));
}

TEST_P(BiasTest, AnExpertWhoseBiasIsNotFiniteIsNoCandidate) {
  for (const float odd : {-kInfinity, kInfinity, kNan}) {
    const Routed routed = RouteRow(Sigmoids(4, 4), {0, 3, 2, 1}, {0, odd, 0, 0});
    EXPECT_THAT(routed.ids, ElementsAre(2, 3, 0, -1)) << odd;
    EXPECT_EQ(routed.stats.short_slots, 1) << odd;
  }
  const Routed none = RouteRow(Sigmoids(3, 2), {0, 0, 0}, {-kInfinity, -kInfinity, -kInfinity});
  EXPECT_THAT(none.ids, ElementsAre(-1, -1));
  EXPECT_THAT(none.counts, Each(0));
  EXPECT_EQ(none.stats.valid_rows, 1);
  EXPECT_EQ(none.stats.short_slots, 2);
}

// --- logits that are not finite

using OddLogitsTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, OddLogitsTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(OddLogitsTest, SigmoidOfInfinityIsAScoreAndOfNanIsNot) {
  const Routed routed = RouteRow(Sigmoids(4, 4), {-kInfinity, kNan, kInfinity, 0});
  EXPECT_THAT(routed.ids, ElementsAre(2, 3, 0, -1));
  EXPECT_THAT(routed.weights, ElementsAre(1.0f, 0.5f, 0.0f, 0.0f));
}

TEST_P(OddLogitsTest, SqrtSoftplusOfPlusInfinityIsNoScore) {
  RouteSpec spec = Sigmoids(4, 4);
  spec.score = Score::kSqrtSoftplus;
  EXPECT_THAT(RouteRow(spec, {-kInfinity, kNan, kInfinity, 0}).ids, ElementsAre(3, 0, -1, -1));
}

TEST_P(OddLogitsTest, LogitsMustBeFiniteThemselves) {
  RouteSpec spec = Sigmoids(4, 4);
  spec.score = Score::kLogit;
  EXPECT_THAT(RouteRow(spec, {-kInfinity, kNan, kInfinity, -7}).ids, ElementsAre(3, -1, -1, -1));
}

TEST_P(OddLogitsTest, ASoftmaxIsPoisonedByNanAndByAnInfiniteMaximum) {
  RouteSpec by_score = Sigmoids(3, 2);
  by_score.score = Score::kSoftmax;
  RouteSpec by_weight = Sigmoids(3, 2);
  by_weight.score = Score::kLogit;
  by_weight.weight = Weight::kSoftmax;
  for (const RouteSpec& spec : {by_score, by_weight}) {
    for (const auto& poisoned : std::vector<std::vector<float>>{
             {0, kNan, 1}, {0, kInfinity, 1}, {kNan, kNan, kNan}, {-kInfinity, -kInfinity, -kInfinity}}) {
      const Routed routed = RouteRow(spec, poisoned);
      EXPECT_THAT(routed.ids, ElementsAre(-1, -1)) << Describe(spec);
      EXPECT_EQ(routed.stats.short_slots, 2);
    }
  }
  // One that is minus infinity has the probability 0: a score, but no logit.
  EXPECT_THAT(RouteRow(by_score, {-kInfinity, 0, -kInfinity}).ids, ElementsAre(1, 0));
  EXPECT_THAT(RouteRow(by_weight, {-kInfinity, 0, -kInfinity}).ids, ElementsAre(1, -1));
  // A sigmoid router without softmax loses the one expert only.
  EXPECT_THAT(RouteRow(Sigmoids(3, 2), {0, kNan, 1}).ids, ElementsAre(2, 0));
}

TEST_P(OddLogitsTest, AllNanHasNoCandidatesInAnyFamily) {
  for (const Family& family : Families()) {
    const Routed routed = RouteRow(family.spec, std::vector<float>(family.spec.num_experts, kNan));
    EXPECT_THAT(routed.ids, Each(-1)) << family.name;
    EXPECT_EQ(routed.stats.short_slots, family.spec.top_k) << family.name;
  }
}

TEST_P(OddLogitsTest, AnOddRowLeavesItsNeighboursAlone) {
  for (const Family& family : Families()) {
    Problem problem;
    problem.spec = family.spec;
    problem.logits = Normal(3 * family.spec.num_experts, 4);
    const Routed clean = RouteAndCheck(problem);
    std::fill_n(problem.logits.begin() + family.spec.num_experts, family.spec.num_experts, kNan);
    const Routed routed = RouteAndCheck(problem);
    for (const int64_t t : {0, 2}) {
      EXPECT_EQ(routed.row_ids(t), clean.row_ids(t)) << family.name;
      EXPECT_EQ(routed.row_weights(t), clean.row_weights(t)) << family.name;
    }
  }
}

// --- weights

using NormaliserTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, NormaliserTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(NormaliserTest, WhereItIsZeroWeightsAreZeroAndIdsStay) {
  // The bias chooses experts whose softmax has underflowed to 0.
  RouteSpec spec = Sigmoids(4, 2);
  spec.score = Score::kSoftmax;
  spec.normalize = true;
  const Routed routed = RouteRow(spec, {200, 0, 0, 0}, {-5, 0, 0, 0});
  EXPECT_THAT(routed.ids, ElementsAre(1, 2));
  EXPECT_THAT(routed.weights, ElementsAre(0.0f, 0.0f));
  EXPECT_THAT(routed.counts, ElementsAre(0, 1, 1, 0));
  EXPECT_EQ(routed.stats.short_slots, 0);
}

TEST_P(NormaliserTest, WhereItIsNegativeOrInfiniteWeightsAreZero) {
  RouteSpec spec = Sigmoids(3, 2);
  spec.score = Score::kLogit;
  spec.normalize = true;
  EXPECT_THAT(RouteRow(spec, {-1, -2, -3}).weights, ElementsAre(0.0f, 0.0f));
  EXPECT_THAT(RouteRow(spec, {3e38f, 3e38f, 1}).weights, ElementsAre(0.0f, 0.0f));
  spec.normalize_min = 4;
  EXPECT_THAT(RouteRow(spec, {-1, -2, -3}).weights, ElementsAre(-0.25f, -0.5f));
  EXPECT_THAT(RouteRow(spec, {3e38f, 3e38f, 1}).weights, ElementsAre(0.0f, 0.0f));
}

TEST_P(NormaliserTest, WhereTheSumIsNanWeightsAreZero) {
  // Slots 0 and 2 meet first, and 1 and 3: infinity and minus infinity.
  Problem problem;
  problem.spec = Sigmoids(4, 4);
  problem.spec.score = Score::kLogit;
  problem.spec.normalize = true;
  problem.spec.normalize_min = 4;
  problem.logits = {3e38f, -3e38f, 3e38f, -3e38f};
  problem.replay = {0, 1, 2, 3};
  EXPECT_THAT(RouteAndCheck(problem).weights, ElementsAre(0.0f, 0.0f, 0.0f, 0.0f));
}

TEST_P(NormaliserTest, SoftmaxOfSelectedInfinities) {
  RouteSpec spec = Sigmoids(4, 2);
  spec.weight = Weight::kSoftmaxOfSelected;
  EXPECT_THAT(RouteRow(spec, {kInfinity, 0, -1, -1}).weights, ElementsAre(0.0f, 0.0f));
  EXPECT_THAT(RouteRow(spec, {-kInfinity, -kInfinity, kNan, kNan}).weights, ElementsAre(0.0f, 0.0f));
  EXPECT_THAT(RouteRow(spec, {-kInfinity, 5, kNan, kNan}).weights, ElementsAre(1.0f, 0.0f));
}

TEST_P(NormaliserTest, ShortSlotsAddNothing) {
  RouteSpec spec = Sigmoids(4, 3);
  spec.normalize = true;
  EXPECT_THAT(RouteRow(spec, {0, kNan, 0, kNan}).weights, ElementsAre(0.5f, 0.5f, 0.0f));
}

// --- shapes

using ShapeTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, ShapeTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(ShapeTest, NoRows) {
  Problem problem;
  problem.spec = Sigmoids(8, 2);
  const Routed routed = RouteAndCheck(problem);
  EXPECT_THAT(routed.counts, Each(0));
  EXPECT_EQ(routed.stats.valid_rows, 0);
}

TEST_P(ShapeTest, EveryExpertIsChosenWhenTopKIsAll) {
  for (const int num_experts : {1, 7, 16, 32, 60, 144, 896}) {
    Problem problem;
    problem.spec = Sigmoids(num_experts, num_experts);
    problem.logits = Normal(33 * num_experts, 5);
    EXPECT_THAT(RouteAndCheck(problem).counts, Each(33)) << num_experts;
  }
}

TEST_P(ShapeTest, ARowHasTheSameBitsInAnyBatch) {
  for (const Family& family : Families()) {
    Problem all;
    all.spec = family.spec;
    all.logits = Normal(33 * family.spec.num_experts, 6);
    all.bias = Normal(family.spec.num_experts, 7, 0.1f);
    const Routed together = RouteAndCheck(all);
    Problem reversed = all;
    reversed.logits.clear();
    for (int64_t t = 32; t >= 0; --t) {
      const std::vector<float> row = all.row(t);
      reversed.logits.insert(reversed.logits.end(), row.begin(), row.end());
    }
    const Routed backwards = RouteAndCheck(reversed);
    for (int64_t t = 0; t < 33; ++t) {
      const Routed alone = RouteRow(family.spec, all.row(t), all.bias);
      EXPECT_EQ(alone.ids, together.row_ids(t)) << family.name;
      EXPECT_EQ(alone.weights, together.row_weights(t)) << family.name;
      EXPECT_EQ(backwards.row_ids(32 - t), together.row_ids(t)) << family.name;
      EXPECT_EQ(backwards.row_weights(32 - t), together.row_weights(t)) << family.name;
    }
    for (int64_t rows = 2; rows < 33; ++rows) {
      Problem last = all;
      last.logits.erase(last.logits.begin(), last.logits.end() - rows * family.spec.num_experts);
      const Routed some = RouteAndCheck(last);
      EXPECT_EQ(some.row_ids(rows - 1), together.row_ids(32)) << family.name << ", " << rows << " rows";
      EXPECT_EQ(some.row_weights(rows - 1), together.row_weights(32)) << family.name << ", " << rows << " rows";
    }
  }
}

TEST_P(ShapeTest, ManyRows) {
  constexpr int64_t kRows = 131072;
  constexpr int64_t kDistinct = 1021;
  Problem problem;
  problem.spec = Sigmoids(16, 4);
  problem.logits = Normal(kDistinct * 16, 17);
  const Routed few = RouteAndCheck(problem);
  problem.logits.reserve(kRows * 16);
  for (size_t i = 0; problem.logits.size() < kRows * 16; ++i) problem.logits.push_back(problem.logits[i]);
  const Routed many = RouteAndCheck(problem);
  for (int64_t t = 0; t < kRows; ++t) {
    ASSERT_EQ(many.row_ids(t), few.row_ids(t % kDistinct)) << t;
    ASSERT_EQ(many.row_weights(t), few.row_weights(t % kDistinct)) << t;
  }
}

TEST_P(ShapeTest, StridesLeaveTheGapsAlone) {
  constexpr int kRows = 5;
  constexpr int kStride = 19;
  Problem problem;
  problem.spec = Sigmoids(16, 3);
  problem.logits = Normal(kRows * 16, 8);
  const Routed dense = RouteAndCheck(problem);

  std::vector<float> logits(kRows * kStride, kNan);
  for (int t = 0; t < kRows; ++t) std::copy_n(problem.logits.begin() + t * 16, 16, logits.begin() + t * kStride);
  std::vector<int64_t> ids(kRows * kStride, -77);
  std::vector<float> weights(kRows * kStride, -77);
  std::vector<float> probabilities(kRows * kStride, -77);
  std::vector<uint8_t> map(kRows * kStride, 77);
  RouteInput input = InputOf(problem);
  input.logits = logits.data();
  input.logits_stride = kStride;
  RouteOutput output;
  output.ids = ids.data();
  output.id_type = IdType::kInt64;
  output.weights = weights.data();
  output.dense_probabilities = probabilities.data();
  output.dense_map = map.data();
  output.ids_stride = output.weights_stride = kStride;
  output.dense_probabilities_stride = output.dense_map_stride = kStride;
  ASSERT_TRUE(Route(problem.spec, input, output, nullptr).ok());
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < kStride; ++i) {
      const int at = t * kStride + i;
      EXPECT_EQ(ids[at], i < 3 ? dense.row_ids(t)[i] : -77);
      EXPECT_EQ(weights[at], i < 3 ? dense.row_weights(t)[i] : -77);
      EXPECT_EQ(probabilities[at], i < 16 ? dense.probabilities[t * 16 + i] : -77);
      EXPECT_EQ(map[at], i < 16 ? dense.map[t * 16 + i] : 77);
    }
  }
}

TEST_P(ShapeTest, ElementsBeyondTwoToTheThirtyOne) {
  if (GetParam().copies) GTEST_SKIP() << "too great to copy; device_size_test has them";
  constexpr int64_t kStride = (int64_t{1} << 31) + 5;
  constexpr int kRows = 3;
  Problem problem;
  problem.spec = Sigmoids(64, 6);
  problem.logits = Normal(kRows * 64, 9);
  for (float& logit : problem.logits) logit = FloatFromBFloat16(BFloat16FromFloat(logit));
  const Routed dense = RouteAndCheck(problem);

  constexpr int64_t kSize = kStride * (kRows - 1) + 64;
  SparseMatrix<uint16_t> logits(kSize);
  SparseMatrix<int32_t> ids(kSize);
  SparseMatrix<uint16_t> weights(kSize);
  SparseMatrix<float> probabilities(kSize);
  SparseMatrix<uint8_t> map(kSize);
  ASSERT_TRUE(logits.ok() && ids.ok() && weights.ok() && probabilities.ok() && map.ok());
  for (int t = 0; t < kRows; ++t) {
    for (int e = 0; e < 64; ++e) logits.data()[t * kStride + e] = BFloat16FromFloat(problem.logits[t * 64 + e]);
  }
  RouteInput input = InputOf(problem);
  input.logits = logits.data();
  input.logits_dtype = DType::kBF16;
  input.logits_stride = kStride;
  RouteOutput output;
  output.ids = ids.data();
  output.weights = weights.data();
  output.weights_dtype = DType::kBF16;
  output.dense_probabilities = probabilities.data();
  output.dense_map = map.data();
  output.ids_stride = output.weights_stride = kStride;
  output.dense_probabilities_stride = output.dense_map_stride = kStride;
  ASSERT_TRUE(Route(problem.spec, input, output, nullptr).ok());
  for (int t = 0; t < kRows; ++t) {
    for (int slot = 0; slot < 6; ++slot) {
      EXPECT_EQ(ids.data()[t * kStride + slot], dense.row_ids(t)[slot]);
      EXPECT_EQ(weights.data()[t * kStride + slot], BFloat16FromFloat(dense.row_weights(t)[slot]));
    }
    for (int e = 0; e < 64; ++e) {
      EXPECT_EQ(probabilities.data()[t * kStride + e], dense.probabilities[t * 64 + e]);
      EXPECT_EQ(map.data()[t * kStride + e], dense.map[t * 64 + e]);
    }
  }
}

TEST_P(ShapeTest, HalfLogitsAndWeights) {
  Problem problem;
  problem.spec = FamilySpec("deepseek_v3");
  problem.logits = Normal(8 * 256, 10);
  std::vector<uint16_t> halves;
  for (float& logit : problem.logits) {
    halves.push_back(HalfFromFloat(logit));
    logit = FloatFromHalf(halves.back());
  }
  const Routed from_float = RouteAndCheck(problem);

  RouteInput input = InputOf(problem);
  input.logits = halves.data();
  input.logits_dtype = DType::kF16;
  std::vector<int32_t> ids(8 * 8);
  std::vector<uint16_t> weights(8 * 8);
  RouteOutput output;
  output.ids = ids.data();
  output.ids_stride = 8;
  output.weights = weights.data();
  output.weights_dtype = DType::kF16;
  output.weights_stride = 8;
  ASSERT_TRUE(Route(problem.spec, input, output, nullptr).ok());
  EXPECT_EQ(ids, from_float.ids);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(weights[i], HalfFromFloat(from_float.weights[i]));
}

// --- mask and counts

using MaskTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, MaskTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(MaskTest, PaddingAnywhereIsNotRoutedNorCountedNorShort) {
  Problem problem;
  problem.spec = FamilySpec("deepseek_v3");
  problem.logits = Normal(33 * 256, 11);
  const Routed all = RouteAndCheck(problem);
  for (int t = 0; t < 33; ++t) problem.valid.push_back(t == 0 || t == 7 || t == 8 || t == 32 ? 0 : 2);
  for (int t = 0; t < 33; ++t) {
    if (problem.valid[t] == 0) std::fill_n(problem.logits.begin() + t * 256, 256, kNan);
  }
  const Routed masked = RouteAndCheck(problem);
  EXPECT_EQ(masked.stats.valid_rows, 29);
  EXPECT_EQ(masked.stats.short_slots, 0);
  for (int64_t t = 0; t < 33; ++t) {
    if (problem.valid[t] == 0) {
      EXPECT_THAT(masked.row_ids(t), Each(-1));
    } else {
      EXPECT_EQ(masked.row_ids(t), all.row_ids(t));
      EXPECT_EQ(masked.row_weights(t), all.row_weights(t));
    }
  }
}

// Where every output of a few rows goes, with something there before.
struct Arrays {
  explicit Arrays(const RouteSpec& spec, int64_t rows)
      : ids(rows * spec.top_k, 77),
        weights(rows * spec.top_k, 7.5f),
        probabilities(rows * spec.num_experts, 2.5f),
        map(rows * spec.num_experts, 9),
        counts(spec.num_experts) {
    output.ids = ids.data();
    output.ids_stride = spec.top_k;
    output.weights = weights.data();
    output.weights_stride = spec.top_k;
    output.dense_probabilities = probabilities.data();
    output.dense_probabilities_stride = spec.num_experts;
    output.dense_map = map.data();
    output.dense_map_stride = spec.num_experts;
    output.counts = counts.data();
  }

  std::vector<int32_t> ids;
  std::vector<float> weights;
  std::vector<float> probabilities;
  std::vector<uint8_t> map;
  std::vector<uint64_t> counts;
  RouteOutput output;
};

// Rows of two kinds, mixed, each kind with its own bias and counts: two calls into the same arrays write what each
// writes alone, and each counts its own.
TEST_P(MaskTest, Pitfall32KeptRowsAreThoseOfTheCallBefore) {
  for (const char* family : {"deepseek_v3", "mixtral"}) {
    Problem text;
    text.spec = FamilySpec(family);
    const int experts = text.spec.num_experts;
    constexpr int kRows = 33;
    text.logits = Normal(kRows * experts, 15);
    Problem image = text;
    text.bias = Normal(experts, 16);
    image.bias = Normal(experts, 17);
    for (int t = 0; t < kRows; ++t) {
      text.valid.push_back(t % 3 == 0 || t > 30);
      image.valid.push_back(1 - text.valid.back());
    }
    const Routed text_alone = RouteAndCheck(text);
    const Routed image_alone = RouteAndCheck(image);

    Arrays arrays(text.spec, kRows);
    std::vector<uint64_t> image_counts(experts);
    RouteStats text_stats;
    RouteStats image_stats;
    arrays.output.keep_masked_rows = true;
    ASSERT_TRUE(Route(text.spec, InputOf(text), arrays.output, &text_stats).ok());
    for (int t = 0; t < kRows; ++t) {
      if (text.valid[t] != 0) continue;
      EXPECT_EQ(arrays.ids[t * text.spec.top_k], 77) << "row " << t;
      EXPECT_EQ(arrays.weights[t * text.spec.top_k], 7.5f) << "row " << t;
      EXPECT_EQ(arrays.probabilities[t * experts + experts - 1], 2.5f) << "row " << t;
      EXPECT_EQ(arrays.map[t * experts], 9) << "row " << t;
    }
    arrays.output.counts = image_counts.data();
    ASSERT_TRUE(Route(image.spec, InputOf(image), arrays.output, &image_stats).ok());

    for (int64_t t = 0; t < kRows; ++t) {
      const Routed& alone = text.valid[t] != 0 ? text_alone : image_alone;
      for (int slot = 0; slot < text.spec.top_k; ++slot) {
        const int64_t at = t * text.spec.top_k + slot;
        EXPECT_EQ(arrays.ids[at], alone.ids[at]) << "row " << t;
        EXPECT_EQ(arrays.weights[at], alone.weights[at]) << "row " << t;
      }
      for (int64_t at = t * experts; at < (t + 1) * experts; ++at) {
        EXPECT_EQ(arrays.probabilities[at], alone.probabilities[at]) << "row " << t;
        EXPECT_EQ(arrays.map[at], alone.map[at]) << "row " << t;
      }
    }
    // The second call saw ids of the first in the rows that it left out, and did not count them.
    EXPECT_EQ(arrays.counts, text_alone.counts);
    EXPECT_EQ(image_counts, image_alone.counts);
    EXPECT_EQ(text_stats.valid_rows + image_stats.valid_rows, kRows);
    EXPECT_EQ(image_stats.valid_rows, image_alone.stats.valid_rows);
  }
}

using CountsTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, CountsTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

// Beyond what a float32 and a 32-bit integer can count.
TEST_P(CountsTest, Pitfall02AreAddedToAndGoBeyondThirtyTwoBits) {
  Problem problem;
  problem.spec = Sigmoids(4, 2);
  problem.logits = Normal(100 * 4, 12);
  const Routed routed = RouteAndCheck(problem);
  for (const uint64_t limit : {uint64_t{1} << 24, uint64_t{1} << 32, uint64_t{1} << 53}) {
    const uint64_t before = limit - 11;
    std::vector<uint64_t> counts(4, before);
    RouteStats stats{(int64_t{1} << 40), 3};
    RouteOutput output;
    output.counts = counts.data();
    ASSERT_TRUE(Route(problem.spec, InputOf(problem), output, &stats).ok());
    for (int e = 0; e < 4; ++e) EXPECT_EQ(counts[e], before + routed.counts[e]);
    EXPECT_GT(*std::max_element(counts.begin(), counts.end()), limit);
    EXPECT_EQ(stats.valid_rows, (int64_t{1} << 40) + 100);
    EXPECT_EQ(stats.short_slots, 3);
  }
}

TEST_P(CountsTest, OutputsThatAreNotWantedChangeNothing) {
  Problem problem;
  problem.spec = Sigmoids(16, 4);
  problem.logits = Normal(10 * 16, 13);
  const Routed routed = RouteAndCheck(problem);
  std::vector<int32_t> ids(10 * 4);
  RouteOutput ids_only;
  ids_only.ids = ids.data();
  ids_only.ids_stride = 4;
  ASSERT_TRUE(Route(problem.spec, InputOf(problem), ids_only, nullptr).ok());
  EXPECT_EQ(ids, routed.ids);
  RouteStats stats;
  ASSERT_TRUE(Route(problem.spec, InputOf(problem), RouteOutput(), &stats).ok());
  EXPECT_EQ(stats.valid_rows, 10);
}

using ThreadTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, ThreadTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(ThreadTest, CallsThatShareNoOutputRunAtOnce) {
  Problem problem;
  problem.spec = FamilySpec("deepseek_v3");
  problem.logits = Normal(64 * 256, 14);
  const Routed expected = RouteAndCheck(problem);
  std::vector<std::vector<int32_t>> ids(4, std::vector<int32_t>(64 * 8));
  std::vector<std::thread> threads;
  for (auto& own : ids) {
    threads.emplace_back([this, &problem, &own] {
      RouteOutput output;
      output.ids = own.data();
      output.ids_stride = 8;
      EXPECT_TRUE(Route(problem.spec, InputOf(problem), output, nullptr).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(ids, Each(expected.ids));
}

// --- replay and forced balance

using ReplayTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, ReplayTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(ReplayTest, TheGivenIdsKeepTheirSlots) {
  Problem problem;
  problem.spec = Sigmoids(4, 3);
  problem.spec.normalize = true;
  problem.logits = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  problem.bias = {9, 0, 0, 0};
  constexpr int32_t kFar = std::numeric_limits<int32_t>::max();
  problem.replay = {3, 1, 2,      // as given
                    1, 1, -1,     // a duplicate, and a slot that was short
                    4, 2, kFar};  // out of range
  const Routed routed = RouteAndCheck(problem);
  EXPECT_THAT(routed.ids, ElementsAre(3, 1, 2, 1, -1, -1, -1, 2, -1));
  EXPECT_THAT(routed.counts, ElementsAre(0, 2, 2, 1));
  EXPECT_EQ(routed.stats.short_slots, 4);
  EXPECT_THAT(routed.row_weights(1), ElementsAre(1.0f, 0.0f, 0.0f));
  EXPECT_THAT(routed.row_weights(2), ElementsAre(0.0f, 1.0f, 0.0f));
}

TEST_P(ReplayTest, AnExpertWithoutAFiniteValueWeighsNothing) {
  for (const Family& family : Families()) {
    Problem problem;
    problem.spec = family.spec;
    problem.logits = std::vector<float>(family.spec.num_experts, 0.0f);
    problem.logits[0] = kNan;
    problem.replay = FirstIds(family.spec.top_k);
    const Routed routed = RouteAndCheck(problem);
    EXPECT_EQ(routed.ids, problem.replay) << family.name;
    EXPECT_EQ(routed.weights[0], 0) << family.name;
    for (const float weight : routed.weights) EXPECT_TRUE(std::isfinite(weight)) << family.name;
  }
}

TEST_P(ReplayTest, AMaskedRowIsNotReplayed) {
  Problem problem;
  problem.spec = Sigmoids(4, 2);
  problem.logits.assign(8, 0.0f);
  problem.replay = {0, 1, 2, 3};
  problem.valid = {0, 1};
  EXPECT_THAT(RouteAndCheck(problem).ids, ElementsAre(-1, -1, 2, 3));
}

using ForcedBalanceTest = RouterTest;
INSTANTIATE_TEST_SUITE_P(All, ForcedBalanceTest, testing::ValuesIn(RoutersUnderTest()), RouterName);

TEST_P(ForcedBalanceTest, RoundRobinIsEvenWhateverTheLogits) {
  Problem problem;
  problem.spec = FamilySpec("deepseek_v3");
  problem.logits = Normal(64 * 256, 15);
  problem.logits[0] = kNan;
  problem.bias.assign(256, -kInfinity);
  problem.forced.mode = ForcedBalance::Mode::kRoundRobin;
  const Routed routed = RouteAndCheck(problem);
  EXPECT_THAT(routed.row_ids(0), ElementsAreArray(FirstIds(8)));
  EXPECT_THAT(routed.row_ids(63), ElementsAre(248, 249, 250, 251, 252, 253, 254, 255));
  EXPECT_THAT(routed.counts, Each(2));
  // Weights as the spec says: those of a replay of the same ids.
  Problem replay = problem;
  replay.forced = {};
  replay.replay = routed.ids;
  EXPECT_EQ(RouteAndCheck(replay).weights, routed.weights);
}

TEST_P(ForcedBalanceTest, RandomNeedsNoCandidatesAndIsRepeatable) {
  Problem problem;
  problem.spec = FamilySpec("deepseek_v3");
  problem.logits = Normal(2048 * 256, 16);
  problem.forced.mode = ForcedBalance::Mode::kRandom;
  problem.forced.seed = 42;
  const Routed routed = RouteAndCheck(problem);
  EXPECT_EQ(routed.stats.short_slots, 0);
  // 64 per expert expected, binomial with deviation 8.
  EXPECT_GT(*std::min_element(routed.counts.begin(), routed.counts.end()), 24);
  EXPECT_LT(*std::max_element(routed.counts.begin(), routed.counts.end()), 104);
  EXPECT_EQ(RouteAndCheck(problem).ids, routed.ids);
  problem.forced.seed = 43;
  EXPECT_NE(RouteAndCheck(problem).ids, routed.ids);
}

// No expert twice for a token, and no logit that leaks as a weight.
TEST_P(ForcedBalanceTest, Pitfall40RandomIdsAreDistinctAndWeighedAsAnyOther) {
  for (const char* const family : {"deepseek_v3", "mixtral", "llama4"}) {
    Problem problem;
    problem.spec = FamilySpec(family);
    constexpr int64_t kRows = 300;
    problem.logits = Normal(kRows * problem.spec.num_experts, 17);
    problem.forced.mode = ForcedBalance::Mode::kRandom;
    problem.forced.seed = 7;
    const Routed routed = RouteAndCheck(problem);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto ids = routed.row_ids(row);
      EXPECT_EQ(std::set<int>(ids.begin(), ids.end()).size(), problem.spec.top_k) << family << ", row " << row;
    }
    Problem replay = problem;
    replay.forced = {};
    replay.replay = routed.ids;
    EXPECT_EQ(RouteAndCheck(replay).weights, routed.weights) << family;
  }
}

TEST_P(ForcedBalanceTest, RandomIdsAreThese) {
  Problem problem;
  problem.spec = Sigmoids(16, 4);
  problem.logits.assign(3 * 16, 0.0f);
  problem.forced.mode = ForcedBalance::Mode::kRandom;
  problem.forced.seed = 1;
  EXPECT_THAT(RouteAndCheck(problem).ids, ElementsAre(13, 2, 10, 8, 1, 9, 7, 3, 5, 7, 1, 6));
}

}  // namespace
}  // namespace evenkeel::routing
