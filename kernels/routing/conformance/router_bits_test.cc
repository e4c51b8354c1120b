#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/conformance/same_as_reference.h"
#include "kernels/routing/reference/reference_router.h"

// Every router against the reference, bit for bit. A failure prints the seed that repeats it.
namespace evenkeel::routing {
namespace {

// What models have, and widths around those of warps, vectors and what a lane holds.
constexpr int kWidths[] = {1,   7,   8,   16,  31,  32,  33,  60,  64,  127, 128, 129,  144, 160,
                           192, 256, 257, 288, 384, 385, 512, 513, 576, 768, 896, 1023, 1024};
constexpr int kTopKs[] = {1, 2, 3, 4, 6, 8, 10, 12, 16, 22, 31, 32};

RouteSpec Spec(int num_experts, int top_k, Score score, Weight weight) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

class RouterBitsTest : public RouterTest {
 protected:
  void ExpectSameAsReference(const Problem& problem, const Layout& layout) const {
    routing::ExpectSameAsReference(GetParam().route, problem, layout);
  }
};

// All but the reference, which would be held against itself.
std::vector<RouterUnderTest> OtherRouters() {
  std::vector<RouterUnderTest> routers = RoutersUnderTest();
  routers.erase(routers.begin());
  return routers;
}
INSTANTIATE_TEST_SUITE_P(All, RouterBitsTest, testing::ValuesIn(OtherRouters()), RouterName);

// Whatever a caller may ask for, all at once.
TEST_P(RouterBitsTest, RandomProblemsInRandomLayouts) {
  for (uint32_t seed = 0; seed < Cases(3000); ++seed) {
    std::mt19937 random(seed);
    const RandomCase any = MakeRandomCase(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(any)));
    ExpectSameAsReference(any.problem, any.layout);
    if (HasFailure()) return;
  }
}

// Every kind of row, with every number of experts and slots, from every type of logit.
TEST_P(RouterBitsTest, EveryShape) {
  std::mt19937 random(1);
  for (const int num_experts : kWidths) {
    for (const int top_k : kTopKs) {
      if (top_k > num_experts) continue;
      for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
        Problem problem;
        problem.spec = RandomSpec(random, num_experts);
        problem.spec.top_k = top_k;
        problem.spec.num_groups = 0;
        problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
        problem.bias = RandomBias(random, num_experts);
        Layout layout;
        layout.logits_dtype = layout.weights_dtype = dtype;
        SCOPED_TRACE(absl::StrCat(Describe(problem.spec), ", ", Describe(layout)));
        ExpectSameAsReference(problem, layout);
        if (HasFailure()) return;
      }
    }
  }
}

// Every kind of row through every score, weight and normaliser.
TEST_P(RouterBitsTest, EveryScoreAndWeight) {
  std::mt19937 random(2);
  for (const Score score : {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit}) {
    for (const Weight weight :
         {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected}) {
      for (int variant = 0; variant < Cases(12); ++variant) {
        Problem problem;
        problem.spec = Spec(Pick(random, {60, 144, 256, 1024}), Pick(random, {1, 6, 8, 22, 32}), score, weight);
        problem.spec.normalize = variant % 3 != 0;
        problem.spec.normalize_epsilon = variant % 3 == 1 ? 0 : 1e-20f;
        problem.spec.scale = 2.5f;
        problem.spec.scale_before_bias = variant % 2 == 1;
        problem.logits = RowsOfEveryKind(random, problem.spec.num_experts, 2 * RowKinds().size());
        problem.bias = RandomBias(random, problem.spec.num_experts);
        SCOPED_TRACE(Describe(problem.spec));
        ExpectSameAsReference(problem, Layout());
        if (HasFailure()) return;
      }
    }
  }
}

// Every size of group down to one expert, with every score, group score and fill.
TEST_P(RouterBitsTest, EveryGrouping) {
  std::mt19937 random(3);
  for (const int num_experts : {7, 8, 60, 144, 256, 384, 768, 1024}) {
    for (int groups = 2; groups <= num_experts; ++groups) {
      if (num_experts % groups != 0) continue;
      for (const GroupScore group_score : {GroupScore::kTop2Sum, GroupScore::kMax, GroupScore::kTopkSum}) {
        for (int variant = 0; variant < Cases(16); ++variant) {
          Problem problem;
          problem.spec = Spec(num_experts, 0, static_cast<Score>(variant % 4), Weight::kScore);
          problem.spec.num_groups = groups;
          problem.spec.top_groups = 1 + static_cast<int>(random() % Pick(random, {groups, std::min(groups, 4)}));
          problem.spec.top_k = std::min<int>(1 + random() % 32, problem.spec.top_groups * (num_experts / groups));
          problem.spec.group_score = group_score;
          problem.spec.group_score_biased = variant / 4 % 2 == 0;
          problem.spec.dropped_group_fill = variant / 8 == 0 ? DroppedGroupFill::kNegInf : DroppedGroupFill::kZero;
          if (!Validate(problem.spec).ok()) continue;
          problem.logits.resize(4 * num_experts);
          for (int t = 0; t < 4; ++t) {
            RowKinds()[random() % RowKinds().size()].fill(random, &problem.logits[t * num_experts], num_experts);
          }
          problem.bias = RandomBias(random, num_experts);
          SCOPED_TRACE(Describe(problem.spec));
          ExpectSameAsReference(problem, Layout());
          if (HasFailure()) return;
        }
      }
    }
  }
}

// Rows of a few values, where the K-th best is one of many equals: at every density of ties, K and width.
TEST_P(RouterBitsTest, TiesAtTheLastSlot) {
  for (const int num_experts : {7, 60, 128, 160, 384, 1024}) {
    for (const int top_k : {1, 7, 8, 22, 32}) {
      if (top_k > num_experts) continue;
      Problem problem;
      problem.spec = Spec(num_experts, top_k, Score::kLogit, Weight::kScore);
      std::mt19937 random(num_experts + top_k);
      for (int better = 0; better <= std::min(num_experts, top_k + 1); ++better) {
        for (const float step : {0.0f, 1.0f}) {  // the better ones equal, or each of its own
          std::vector<float> row(num_experts, 1.0f);
          for (int i = 0; i < better; ++i) row[i] = 2 + i * step;
          std::shuffle(row.begin(), row.end(), random);
          problem.logits.insert(problem.logits.end(), row.begin(), row.end());
        }
      }
      SCOPED_TRACE(Describe(problem.spec));
      ExpectSameAsReference(problem, Layout());
      if (HasFailure()) return;
    }
  }
}

// One expert apart from all others, at every place: none is left out at the end of a row, of a vector, of a block.
TEST_P(RouterBitsTest, TheBestAtEveryPlace) {
  for (const int num_experts : kExpertCounts) {
    Problem problem;
    problem.spec = Spec(num_experts, std::min(num_experts, 8), Score::kSigmoid, Weight::kScore);
    problem.logits.assign(num_experts * num_experts, -1.0f);
    for (int e = 0; e < num_experts; ++e) problem.logits[e * num_experts + e] = 1;
    SCOPED_TRACE(Describe(problem.spec));
    ExpectSameAsReference(problem, Layout());
    if (HasFailure()) return;
  }
}

// Whole blocks of rows and what is left of them, with masked rows anywhere.
TEST_P(RouterBitsTest, EveryNumberOfRows) {
  std::mt19937 random(4);
  for (const int num_experts : {8, 60, 256, 1024}) {
    for (int64_t rows = 0; rows < 36; ++rows) {
      Problem problem;
      problem.spec = RandomSpec(random, num_experts);
      problem.logits = RowsOfEveryKind(random, num_experts, rows);
      problem.bias = RandomBias(random, num_experts);
      for (int64_t t = 0; rows % 2 == 0 && t < rows; ++t) problem.valid.push_back(random() % 4 != 0);
      SCOPED_TRACE(absl::StrCat(rows, " rows, ", Describe(problem.spec)));
      ExpectSameAsReference(problem, RandomLayout(random));
      if (HasFailure()) return;
    }
  }
}

// Half precision has so few values that all of them can be routed, NaNs and infinities with them.
TEST_P(RouterBitsTest, EveryLogitOfSixteenBits) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    for (const Score score : {Score::kLogit, Score::kSigmoid}) {
      const RouteSpec spec = Spec(64, 32, score, Weight::kScore);
      std::vector<uint16_t> logits(1 << 16);
      std::iota(logits.begin(), logits.end(), 0);
      std::shuffle(logits.begin(), logits.end(), std::mt19937(6));
      RouteInput input;
      input.logits = logits.data();
      input.logits_dtype = dtype;
      input.rows = 1024;
      input.logits_stride = 64;
      const auto route = [&](RouteFunction router, std::vector<int32_t>& ids, std::vector<uint16_t>& weights) {
        ids.resize(1024 * 32);
        weights.resize(1024 * 32);
        RouteOutput output;
        output.ids = ids.data();
        output.weights = weights.data();
        output.weights_dtype = dtype;
        output.ids_stride = output.weights_stride = 32;
        ASSERT_TRUE(router(spec, input, output, nullptr).ok());
      };
      std::vector<int32_t> expected_ids, ids;
      std::vector<uint16_t> expected_weights, weights;
      route(RouteReference, expected_ids, expected_weights);
      route(GetParam().route, ids, weights);
      EXPECT_EQ(ids, expected_ids) << Describe(spec);
      EXPECT_EQ(weights, expected_weights) << Describe(spec);
    }
  }
}

// Threads that share the inputs and no output.
TEST_P(RouterBitsTest, ManyThreads) {
  std::mt19937 random(7);
  Problem problem;
  problem.spec = Families()[0].spec;
  problem.logits = RowsOfEveryKind(random, problem.spec.num_experts, 4 * RowKinds().size());
  problem.bias = RandomBias(random, problem.spec.num_experts);
  const Layout layout;
  const PlacedInput input(problem, layout);
  PlacedOutput expected(problem, layout);
  ASSERT_TRUE(RouteReference(problem.spec, input.input(), expected.output(), expected.stats()).ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 8; ++round) {
        PlacedOutput output(problem, layout);
        EXPECT_TRUE(Route(problem.spec, input.input(), output.output(), output.stats()).ok());
        output.ExpectSameAs(expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// As many equals as a warp has lanes, and one more or less: what is listed and what is taken one by one.
TEST_P(RouterBitsTest, TiesAroundThirtyTwo) {
  for (const int num_experts : {60, 128, 256, 1024}) {
    for (const int top_k : {1, 8, 32}) {
      for (const Score score : {Score::kLogit, Score::kSigmoid}) {
        Problem problem;
        problem.spec.num_experts = num_experts;
        problem.spec.top_k = top_k;
        problem.spec.score = score;
        std::mt19937 random(num_experts + top_k);
        for (int equals = 28; equals <= 36; ++equals) {
          for (const int better : {0, 1, top_k - 1, top_k}) {
            std::vector<float> row(num_experts, -1.0f);
            std::fill_n(row.begin(), equals, 1.0f);
            std::fill_n(row.begin(), better, 2.0f);
            std::shuffle(row.begin(), row.end(), random);
            problem.logits.insert(problem.logits.end(), row.begin(), row.end());
          }
        }
        SCOPED_TRACE(Describe(problem.spec));
        ExpectSameAsReference(problem, Layout());
        if (HasFailure()) return;
      }
    }
  }
}

// The logit of a score.
double LogitOf(Score score, double value) {
  return std::log(score == Score::kSigmoid ? value / (1 - value) : std::expm1(value * value));
}

// What a router that approximates scores may take for equal.
double Nearness(Score score) { return score == Score::kSigmoid ? 0x1p-21 : 0x1p-10; }

// Experts whose keys lie around the K-th best, nearer to it than approximate scores tell apart, made of scores and
// biases of any size.
TEST_P(RouterBitsTest, NearTies) {
  for (uint32_t seed = 0; seed < Cases(600); ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    problem.spec.num_experts = Pick(random, {60, 128, 256, 384, 512, 1024});
    problem.spec.top_k = Pick(random, {1, 2, 4, 8, 16});
    const int num_experts = problem.spec.num_experts;
    const double goal = Pick(random, {0.0, 0.0, 0.95, 7.5, 100.25, -30.0, -0.5});
    const int near = 1 + static_cast<int>(random() % 30);
    problem.spec.score = Pick(random, {Score::kSigmoid, Score::kSigmoid, Score::kSqrtSoftplus});
    const Score kind = problem.spec.score;
    const double spread = Pick(random, {0.125, 0.5, 1.0, 2.0, 4.0}) * Nearness(kind) * std::max(1.0, std::fabs(goal));
    std::uniform_real_distribution<double> score(0.1, 0.9);
    std::uniform_real_distribution<double> side(-spread, spread);
    for (int e = 0; e < num_experts; ++e) problem.bias.push_back(static_cast<float>(goal - score(random)));
    for (int t = 0; t < 8; ++t) {
      for (int e = 0; e < num_experts; ++e) {
        const double rest = goal - problem.bias[e] + side(random);
        const bool is_near = random() % num_experts < near;
        problem.logits.push_back(is_near ? static_cast<float>(LogitOf(kind, rest)) : -9.0f);
      }
    }
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(problem.spec)));
    ExpectSameAsReference(problem, Layout());
    if (HasFailure()) return;
  }
}

// Groups whose scores lie around that of the last which is kept: as near as approximate scores cannot tell apart, an
// ulp apart, and equal. Either all of them, or the last that is kept and the first that is not.
TEST_P(RouterBitsTest, GroupsNearTies) {
  for (uint32_t seed = 0; seed < Cases(500); ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    RouteSpec& spec = problem.spec;
    const std::vector<RouteSpec> specs = GroupedSpecs();
    spec = specs[random() % specs.size()];
    spec.group_score = Pick(random, {GroupScore::kTop2Sum, GroupScore::kMax});
    spec.dropped_group_fill = Pick(random, {DroppedGroupFill::kNegInf, DroppedGroupFill::kZero});
    spec.top_groups = 1 + static_cast<int>(random() % spec.num_groups);
    spec.top_k = 1 + static_cast<int>(random() % std::min(16, spec.top_groups * ExpertsPerGroup(spec)));
    const double goal = Pick(random, {0.0, 0.95, 7.5, 1000.25, -30.0, -0.5});
    spec.score = Pick(random, {Score::kSigmoid, Score::kSigmoid, Score::kSqrtSoftplus});
    const double spread = Pick(random, {0.0, 0.125, 0.5, 2.0, 4.0, 16.0}) * Nearness(spec.score) * std::max(1.0, goal);
    const double apart = Pick(random, {0.0, 0.05, 0.05});
    std::uniform_real_distribution<double> score(0.1, 0.9);
    std::uniform_real_distribution<double> side(-spread, spread);
    for (int e = 0; e < spec.num_experts; ++e) problem.bias.push_back(static_cast<float>(goal - score(random)));
    std::vector<int> ranks(spec.num_groups);
    std::iota(ranks.begin(), ranks.end(), 0);
    for (int t = 0; t < 16; ++t) {
      std::vector<float> row(spec.num_experts, -9.0f);
      std::shuffle(ranks.begin(), ranks.end(), random);
      for (int g = 0; g < spec.num_groups; ++g) {
        const double shift = ranks[g] < spec.top_groups - 1 ? apart : ranks[g] > spec.top_groups ? -apart : 0.0;
        for (int near = 0; near < 3; ++near) {
          const int e = g * ExpertsPerGroup(spec) + static_cast<int>(random() % ExpertsPerGroup(spec));
          row[e] = static_cast<float>(LogitOf(spec.score, goal + shift - problem.bias[e] + side(random)));
        }
      }
      problem.logits.insert(problem.logits.end(), row.begin(), row.end());
    }
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec)));
    ExpectSameAsReference(problem, Layout());
    if (HasFailure()) return;
  }
}

// Scores just below 1, where floats are few: so many are equal that fewer lanes' maxima differ than there are slots.
TEST_P(RouterBitsTest, FewMaximaThatDiffer) {
  for (uint32_t seed = 0; seed < Cases(300); ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    problem.spec.num_experts = Pick(random, {64, 128, 256});
    problem.spec.top_k = Pick(random, {8, 12, 16, 24, 31, 32});
    std::uniform_real_distribution<double> below(0x1p-26, Pick(random, {0x1p-20, 0x1p-19, 0x1p-18}));
    for (int t = 0; t < 16; ++t) {
      std::vector<float> row(problem.spec.num_experts, -3.0f);
      const int high = problem.spec.top_k + static_cast<int>(random() % (33 - problem.spec.top_k));
      for (int i = 0; i < high; ++i) row[i] = static_cast<float>(-std::log(below(random)));
      std::shuffle(row.begin(), row.end(), random);
      problem.logits.insert(problem.logits.end(), row.begin(), row.end());
    }
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(problem.spec)));
    ExpectSameAsReference(problem, Layout());
    if (HasFailure()) return;
  }
}

// What a kernel is compiled for: the outputs that are then wanted, and specs that are of such a path or nearly.
TEST_P(RouterBitsTest, EveryPath) {
  Layout layout;
  layout.probabilities = layout.map = false;
  for (uint32_t seed = 0; seed < Cases(300); ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    RouteSpec& spec = problem.spec;
    spec.num_experts = Pick(random, {96, 128, 200, 256, 384, 512, 800, 1024});
    spec.top_k = Pick(random, {1, 4, 6, 8, 10});
    spec.score = Pick(random, {Score::kSigmoid, Score::kSigmoid, Score::kLogit});
    const bool sigmoid = spec.score == Score::kSigmoid;
    spec.weight = sigmoid != (random() % 8 == 0) ? Weight::kScore : Weight::kSoftmaxOfSelected;
    if (random() % 2 == 0 && spec.num_experts % 32 == 0) {
      spec.num_groups = spec.num_experts / 32;
      spec.top_groups = (spec.num_groups + 1) / 2;
      spec.group_score = random() % 8 == 0 ? GroupScore::kMax : GroupScore::kTop2Sum;
      spec.dropped_group_fill = random() % 8 == 0 ? DroppedGroupFill::kZero : DroppedGroupFill::kNegInf;
      spec.group_score_biased = random() % 8 != 0;
    }
    spec.normalize = random() % 2 == 0;
    spec.scale = 2.5f;
    spec.scale_before_bias = random() % 8 == 0;
    problem.logits = RowsOfEveryKind(random, spec.num_experts, 40);
    problem.bias = RandomBias(random, spec.num_experts);
    layout.counts = random() % 8 != 0;
    layout.id_type = random() % 8 == 0 ? IdType::kInt64 : IdType::kInt32;
    layout.logits_dtype = Pick(random, {DType::kF32, DType::kBF16, DType::kF16});
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec), ", ", Describe(layout)));
    ExpectSameAsReference(problem, layout);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace evenkeel::routing
