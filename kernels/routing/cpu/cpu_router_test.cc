#include "kernels/routing/cpu/cpu_router.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/conformance/same_as_reference.h"
#include "kernels/routing/reference/reference_router.h"

// RouteCpu against the reference, bit for bit, on every Highway target of this machine.
namespace evenkeel::routing {
namespace {

constexpr int kTopKs[] = {1, 2, 3, 4, 6, 8, 10, 12, 16, 22, 31, 32};

RouteSpec Spec(int num_experts, int top_k, Score score, Weight weight) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

class CpuRouterTest : public RouterTest {
 protected:
  // How many of `thorough` cases to try: all, but for a target that calls the reference anyway.
  static int Cases(int thorough) {
    return CpuRoutePath(Families()[0].spec) == "reference" ? std::min(thorough, 1 + thorough / 16) : thorough;
  }

  void ExpectSameAsReference(const Problem& problem, const Layout& layout) const {
    routing::ExpectSameAsReference(GetParam().route, problem, layout);
  }
};

// Whatever a caller may ask for, all at once.
TEST_P(CpuRouterTest, RandomProblemsInRandomLayouts) {
  for (uint32_t seed = 0; seed < Cases(3000); ++seed) {
    std::mt19937 random(seed);
    const RandomCase any = MakeRandomCase(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(any)));
    ExpectSameAsReference(any.problem, any.layout);
    if (HasFailure()) return;
  }
}

// Every kind of row, with every number of experts and slots.
TEST_P(CpuRouterTest, EveryShape) {
  std::mt19937 random(1);
  for (const int num_experts : kExpertCounts) {
    for (const int top_k : kTopKs) {
      if (top_k > num_experts) continue;
      Problem problem;
      problem.spec = RandomSpec(random, num_experts);
      problem.spec.top_k = top_k;
      problem.spec.num_groups = 0;
      problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
      problem.bias = RandomBias(random, num_experts);
      SCOPED_TRACE(Describe(problem.spec));
      ExpectSameAsReference(problem, Layout());
      if (HasFailure()) return;
    }
  }
}

// Every kind of row through every score, weight and normaliser.
TEST_P(CpuRouterTest, EveryScoreAndWeight) {
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
TEST_P(CpuRouterTest, EveryGrouping) {
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
TEST_P(CpuRouterTest, TiesAtTheLastSlot) {
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
TEST_P(CpuRouterTest, TheBestAtEveryPlace) {
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
TEST_P(CpuRouterTest, EveryNumberOfRows) {
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

// What no SIMD path takes.
TEST_P(CpuRouterTest, GreatShapes) {
  std::mt19937 random(5);
  for (const auto& [num_experts, top_k] : {std::pair(1024, 33), std::pair(64, 64), std::pair(1025, 8),
                                           std::pair(4096, 1000), std::pair(kMaxExperts, 32)}) {
    Problem problem;
    problem.spec = RandomSpec(random, num_experts);
    problem.spec.top_k = top_k;
    problem.spec.num_groups = 0;
    problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
    SCOPED_TRACE(Describe(problem.spec));
    ExpectSameAsReference(problem, Layout());
  }
}

// Half precision has so few values that all of them can be routed, NaNs and infinities with them.
TEST_P(CpuRouterTest, EveryLogitOfSixteenBits) {
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
TEST_P(CpuRouterTest, ManyThreads) {
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

INSTANTIATE_TEST_SUITE_P(Targets, CpuRouterTest, testing::ValuesIn(CpuRoutersUnderTest()), RouterName);

bool HasFma(int64_t target) {
#if HWY_ARCH_X86
  return target == HWY_AVX2 || target == HWY_AVX3 || target == HWY_AVX3_DL;
#else
  return HWY_ARCH_ARM_A64 && target == HWY_NEON;
#endif
}

TEST(CpuRoutePathTest, IsTheTargetWhereItHasFma) {
  for (const RouterUnderTest& router : CpuRoutersUnderTest()) {
    const HighwayTargetScope scope(router.highway_target);
    const char* expected = HasFma(router.highway_target) ? hwy::TargetName(router.highway_target) : "reference";
    for (const Family& family : Families()) EXPECT_EQ(CpuRoutePath(family.spec), expected) << family.name;
  }
}

TEST(CpuRoutePathTest, IsTheBestTargetOfTheMachine) {
  const int64_t best = CpuRoutersUnderTest().front().highway_target;
  EXPECT_EQ(CpuRoutePath(Families()[0].spec), HasFma(best) ? hwy::TargetName(best) : "reference");
}

TEST(CpuRoutePathTest, IsTheReferenceForShapesThatNoModelHas) {
  const absl::string_view best = CpuRoutePath(Spec(256, 8, Score::kSigmoid, Weight::kScore));
  const auto path = [](int num_experts, int top_k) {
    return CpuRoutePath(Spec(num_experts, top_k, Score::kSigmoid, Weight::kScore));
  };
  EXPECT_EQ(path(1, 1), best);
  EXPECT_EQ(path(1024, 32), best);
  EXPECT_EQ(path(32, 32), best);
  EXPECT_EQ(path(1024, 33), "reference");
  EXPECT_EQ(path(1025, 32), "reference");
  EXPECT_EQ(path(kMaxExperts, kMaxExperts), "reference");
}

}  // namespace
}  // namespace evenkeel::routing
