#include "kernels/routing/warp/emulated_router.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/same_as_reference.h"

// The row algorithm of the GPU, on emulated lanes, against the reference bit for bit. It runs through the tests of
// conformance/ too.
namespace evenkeel::routing {
namespace {

TEST(EmulatedRouterTest, RandomProblemsInRandomLayouts) {
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    std::mt19937 random(seed);
    const RandomCase any = MakeRandomCase(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(any)));
    ExpectSameAsReference(RouteEmulated, any.problem, any.layout);
    if (testing::Test::HasFailure()) return;
  }
}

// Every number of registers, whole and in part, and every number of slots: all kinds of rows.
TEST(EmulatedRouterTest, EveryShape) {
  std::mt19937 random(1);
  for (const int num_experts : {1, 31, 32, 33, 127, 128, 129, 256, 257, 384, 385, 512, 513, 1024}) {
    for (const int top_k : {1, 4, 8, 31, 32}) {
      if (top_k > num_experts) continue;
      Problem problem;
      problem.spec = RandomSpec(random, num_experts);
      problem.spec.top_k = top_k;
      problem.spec.num_groups = 0;
      problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
      problem.bias = RandomBias(random, num_experts);
      SCOPED_TRACE(Describe(problem.spec));
      ExpectSameAsReference(RouteEmulated, problem, Layout());
      if (testing::Test::HasFailure()) return;
    }
  }
}

// Every size of group down to one expert, with every group score and fill.
TEST(EmulatedRouterTest, EveryGrouping) {
  std::mt19937 random(2);
  for (const int num_experts : {7, 60, 144, 256, 768, 1024}) {
    for (int groups = 2; groups <= num_experts; ++groups) {
      if (num_experts % groups != 0) continue;
      for (const GroupScore group_score : {GroupScore::kTop2Sum, GroupScore::kMax, GroupScore::kTopkSum}) {
        Problem problem;
        problem.spec = RandomSpec(random, num_experts);
        problem.spec.num_groups = groups;
        problem.spec.top_groups = 1 + static_cast<int>(random() % Pick(random, {groups, std::min(groups, 4)}));
        problem.spec.top_k = std::min<int>(1 + random() % 32, problem.spec.top_groups * (num_experts / groups));
        problem.spec.group_score = group_score;
        problem.spec.group_score_biased = random() % 2 == 0;
        problem.spec.dropped_group_fill = Pick(random, {DroppedGroupFill::kNegInf, DroppedGroupFill::kZero});
        if (!Validate(problem.spec).ok()) continue;
        problem.logits.resize(2 * num_experts);
        for (int t = 0; t < 2; ++t) {
          RowKinds()[random() % RowKinds().size()].fill(random, &problem.logits[t * num_experts], num_experts);
        }
        problem.bias = RandomBias(random, num_experts);
        SCOPED_TRACE(Describe(problem.spec));
        ExpectSameAsReference(RouteEmulated, problem, Layout());
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

// As many equals as a warp has lanes, and one more or less: what is listed and what is taken one by one.
TEST(EmulatedRouterTest, TiesAroundThirtyTwo) {
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
        ExpectSameAsReference(RouteEmulated, problem, Layout());
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

// Experts whose keys lie around the K-th best, nearer to it than approximate scores tell apart, made of scores and
// biases of any size.
TEST(EmulatedRouterTest, NearTies) {
  for (uint32_t seed = 0; seed < 600; ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    problem.spec.num_experts = Pick(random, {60, 128, 256, 384, 512, 1024});
    problem.spec.top_k = Pick(random, {1, 2, 4, 8, 16});
    const int num_experts = problem.spec.num_experts;
    const double goal = Pick(random, {0.0, 0.0, 0.95, 7.5, 100.25, -30.0, -0.5});
    const int near = 1 + static_cast<int>(random() % 30);
    const double spread = Pick(random, {0x1p-24, 0x1p-22, 0x1p-21, 0x1p-20, 0x1p-19}) * std::max(1.0, std::fabs(goal));
    std::uniform_real_distribution<double> score(0.1, 0.9);
    std::uniform_real_distribution<double> side(-spread, spread);
    for (int e = 0; e < num_experts; ++e) problem.bias.push_back(static_cast<float>(goal - score(random)));
    for (int t = 0; t < 8; ++t) {
      for (int e = 0; e < num_experts; ++e) {
        const double rest = goal - problem.bias[e] + side(random);
        const bool is_near = random() % num_experts < near;
        problem.logits.push_back(is_near ? static_cast<float>(std::log(rest / (1 - rest))) : -9.0f);
      }
    }
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(problem.spec)));
    ExpectSameAsReference(RouteEmulated, problem, Layout());
    if (testing::Test::HasFailure()) return;
  }
}

// What no warp holds goes to the reference.
TEST(EmulatedRouterTest, GreatShapes) {
  std::mt19937 random(3);
  for (const auto& [num_experts, top_k] : {std::pair(1024, 33), std::pair(1025, 8)}) {
    Problem problem;
    problem.spec = RandomSpec(random, num_experts);
    problem.spec.top_k = top_k;
    problem.spec.num_groups = 0;
    problem.logits = RowsOfEveryKind(random, num_experts, RowKinds().size());
    SCOPED_TRACE(Describe(problem.spec));
    ExpectSameAsReference(RouteEmulated, problem, Layout());
  }
}

}  // namespace
}  // namespace evenkeel::routing
