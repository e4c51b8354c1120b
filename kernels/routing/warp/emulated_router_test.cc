#include "kernels/routing/warp/emulated_router.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/routing/conformance/placed_problem.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/conformance/same_as_reference.h"

// The row algorithm of the GPU, on emulated lanes, against the reference bit for bit. It runs through the tests of
// conformance/ too.
namespace evenkeel::routing {
namespace {

// Of `problem`, and that it is routed as by the reference.
int64_t ExactRows(const Problem& problem) {
  static thread_local int64_t exact_rows;
  exact_rows = 0;
  const RouteFunction route = [](const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                                 RouteStats* stats) {
    return RouteEmulatedAndCount(spec, input, output, stats, &exact_rows);
  };
  ExpectSameAsReference(route, problem, Layout());
  return exact_rows;
}

// The specs that are chosen by approximate scores.
std::vector<RouteSpec> PrunedSpecs() {
  std::vector<RouteSpec> specs = GroupedSpecs();
  for (const Score score : {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit}) {
    for (const bool scale_before_bias : {false, true}) {
      RouteSpec spec;
      spec.num_experts = 384;
      spec.top_k = 8;
      spec.score = score;
      spec.scale_before_bias = scale_before_bias;
      spec.scale = 2.5f;
      specs.push_back(spec);
      spec.num_experts = 256;
      spec.num_groups = 8;
      spec.top_groups = 4;
      specs.push_back(spec);
    }
  }
  return specs;
}

Problem NormalProblem(const RouteSpec& spec, int rows) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 1);
  std::uniform_real_distribution<float> uniform(-0.1f, 0.1f);
  Problem problem;
  problem.spec = spec;
  for (int64_t i = 0; i < int64_t{rows} * spec.num_experts; ++i) problem.logits.push_back(normal(random));
  for (int e = 0; e < spec.num_experts; ++e) problem.bias.push_back(uniform(random));
  return problem;
}

// Else the tests above would show nothing of approximate scores.
TEST(EmulatedRouterTest, OrdinaryRowsAreChosenByApproximateScores) {
  for (const RouteSpec& spec : PrunedSpecs()) {
    SCOPED_TRACE(Describe(spec));
    // Groups by square-root-softplus are often nearer to each other than its approximation tells apart.
    const int few = GroupsActive(spec) && spec.score == Score::kSqrtSoftplus ? 50 : 4;
    Problem problem = NormalProblem(spec, 200);
    EXPECT_LE(ExactRows(problem), few);
    problem.bias.clear();
    problem.spec.group_score_biased = false;
    EXPECT_LE(ExactRows(problem), few);
  }
}

TEST(EmulatedRouterTest, TiesAreChosenExactly) {
  for (const RouteSpec& spec : PrunedSpecs()) {
    SCOPED_TRACE(Describe(spec));
    Problem problem = NormalProblem(spec, 4);
    problem.bias.clear();
    for (size_t i = 0; i < problem.logits.size(); ++i) {
      if (!GroupsActive(spec)) problem.logits[i] = 1.0f;
      // All groups alike, but for the order of their experts.
      const size_t size = ExpertsPerGroup(spec);
      if (GroupsActive(spec)) problem.logits[i] = static_cast<float>((i + i / size) % size) / 64;
    }
    EXPECT_EQ(ExactRows(problem), 4);
  }
}

// Beside such a bias no group is certain, but for its own.
TEST(EmulatedRouterTest, GroupsOfHugeBiasAreChosenExactly) {
  for (const RouteSpec& spec : GroupedSpecs()) {
    SCOPED_TRACE(Describe(spec));
    for (const float huge : {1e8f, 1e30f, 3e38f}) {
      Problem problem = NormalProblem(spec, 4);
      problem.bias[5] = -huge;
      EXPECT_EQ(ExactRows(problem), 4) << huge;
      problem.bias[5] = huge;
      EXPECT_EQ(ExactRows(problem), spec.top_groups == 1 && huge < 3e38f ? 0 : 4) << huge;
    }
  }
}

// One of them is enough, and it may be infinite.
TEST(EmulatedRouterTest, SquareRootSoftplusOfGreatLogitsIsChosenExactly) {
  RouteSpec spec;
  spec.num_experts = 256;
  spec.top_k = 6;
  spec.score = Score::kSqrtSoftplus;
  for (const float great : {4097.0f, 1e20f, 3e38f, std::numeric_limits<float>::infinity()}) {
    Problem problem = NormalProblem(spec, 4);
    for (int t = 0; t < 4; ++t) problem.logits[t * spec.num_experts + 77 * t] = great;
    EXPECT_EQ(ExactRows(problem), 4) << great;
    problem.bias[0] = problem.bias[77] = -64.0f;
    problem.bias[154] = problem.bias[231] = -1e10f;
    EXPECT_EQ(ExactRows(problem), 4) << great;
  }
  Problem problem = NormalProblem(spec, 4);
  for (int t = 0; t < 4; ++t) problem.logits[t * spec.num_experts + 77 * t] = 4096;
  EXPECT_EQ(ExactRows(problem), 0);
}

// What has no candidate is no reason to look closer.
TEST(EmulatedRouterTest, GroupsWithoutCandidatesAreNotKept) {
  for (const RouteSpec& spec : GroupedSpecs()) {
    SCOPED_TRACE(Describe(spec));
    Problem problem = NormalProblem(spec, 200);
    std::fill_n(problem.bias.begin(), spec.num_experts / spec.num_groups, -std::numeric_limits<float>::infinity());
    EXPECT_LE(ExactRows(problem), 4);
    std::fill(problem.bias.begin(), problem.bias.end() - 3, std::numeric_limits<float>::quiet_NaN());
    ExactRows(problem);
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
