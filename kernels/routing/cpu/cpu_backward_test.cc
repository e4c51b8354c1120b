#include "kernels/routing/cpu/cpu_backward.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/cpu/cpu_router.h"
#include "kernels/routing/reference/reference_backward.h"

// RouteBackwardCpu against the reference, bit for bit, on every Highway target of this machine.
namespace evenkeel::routing {
namespace {

constexpr int kTopKs[] = {1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 15, 16, 17, 22, 24, 25, 31, 32};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// K distinct experts, which need not be the best, with short slots among them.
std::vector<int32_t> RandomIds(std::mt19937& random, const RouteSpec& spec, int64_t rows) {
  std::vector<int32_t> experts(spec.num_experts);
  std::iota(experts.begin(), experts.end(), 0);
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < rows; ++t) {
    std::shuffle(experts.begin(), experts.end(), random);
    ids.insert(ids.end(), experts.begin(), experts.begin() + spec.top_k);
    int32_t* slots = &ids[t * spec.top_k];
    if (random() % 8 == 0) std::fill_n(slots, spec.top_k, -1);
    for (int i = Pick(random, {0, 0, 1, 3}); i > 0; --i) {
      slots[random() % spec.top_k] = Pick(random, {-1, spec.num_experts, INT32_MIN, INT32_MAX});
    }
  }
  return ids;
}

std::vector<float> RandomGradients(std::mt19937& random, size_t size, bool odd) {
  std::normal_distribution<float> normal(0, Pick(random, {1.0f, 1e-3f, 1e4f}));
  std::vector<float> values(size);
  for (float& value : values) {
    value = normal(random);
    if (random() % 16 == 0) value = Pick(random, {0.0f, -0.0f});
    if (odd && random() % 64 == 0) value = Pick(random, {kInfinity, -kInfinity, std::nanf(""), 3e38f, 1e-42f});
  }
  return values;
}

BackwardProblem RandomBackwardProblem(std::mt19937& random, const RouteSpec& spec, const std::vector<float>& logits) {
  BackwardProblem problem;
  problem.spec = spec;
  problem.logits = logits;
  problem.ids = RandomIds(random, spec, problem.rows());
  const bool odd = random() % 4 == 0;
  const int which = static_cast<int>(random() % 3);
  if (which != 0) problem.d_weights = RandomGradients(random, problem.ids.size(), odd);
  if (which != 1) problem.d_probabilities = RandomGradients(random, logits.size(), odd);
  return problem;
}

class CpuBackwardTest : public BackwardTest {
 protected:
  // How many of `thorough` cases to try: all, but for a target that calls the reference anyway.
  static int Cases(int thorough) {
    return CpuBackwardPath(Families()[0].spec) == "reference" ? std::min(thorough, 1 + thorough / 16) : thorough;
  }

  // Both passes, on the same inputs.
  void ExpectSameAsReference(const BackwardProblem& problem, const BackwardLayout& layout) const {
    ExpectSameBits(TakeBack(problem, layout), routing::TakeBack(RouteBackwardReference, problem, layout));
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, CpuBackwardTest, testing::ValuesIn(CpuBackwardsUnderTest()), BackwardName);

// Whatever a caller may ask for, all at once.
TEST_P(CpuBackwardTest, RandomProblemsInRandomLayouts) {
  for (uint32_t seed = 0; seed < Cases(2000); ++seed) {
    std::mt19937 random(seed);
    const bool listed = random() % 4 != 0;
    const int num_experts = listed ? kExpertCounts[random() % std::size(kExpertCounts)] : 1 + random() % 1100;
    RouteSpec spec = RandomSpec(random, num_experts);
    if (random() % 8 == 0) spec.scale = Pick(random, {1e38f, 1e-38f});
    if (random() % 4 == 0) spec.normalize_min = Pick(random, {4.0f, 0.5f, 1e-40f});
    const int64_t rows = Pick(random, {0, 1, 2, 3, 5, 8, 9, 20});
    std::vector<float> logits = RowsOfEveryKind(random, num_experts, rows + RowKinds().size());
    logits.erase(logits.begin(), logits.begin() + random() % RowKinds().size() * num_experts);
    logits.resize(rows * num_experts);
    const BackwardProblem problem = RandomBackwardProblem(random, spec, logits);
    const BackwardLayout layout = RandomBackwardLayout(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(spec), ", rows=", rows, ", ", Describe(layout)));
    ExpectSameAsReference(problem, layout);
    if (HasFailure()) return;
  }
}

// Every kind of row, with every number of experts and slots.
TEST_P(CpuBackwardTest, EveryShape) {
  std::mt19937 random(1);
  for (const int num_experts : kExpertCounts) {
    for (const int top_k : kTopKs) {
      if (top_k > num_experts) continue;
      RouteSpec spec = RandomSpec(random, num_experts);
      spec.top_k = top_k;
      spec.num_groups = 0;
      SCOPED_TRACE(Describe(spec));
      ExpectSameAsReference(
          RandomBackwardProblem(random, spec, RowsOfEveryKind(random, num_experts, RowKinds().size())),
          BackwardLayout());
      if (HasFailure()) return;
    }
  }
}

// Every kind of row through every score, weight and normaliser, from and to every type.
TEST_P(CpuBackwardTest, EveryScoreAndWeight) {
  std::mt19937 random(2);
  for (const Score score : {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit}) {
    for (const Weight weight :
         {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected}) {
      for (int variant = 0; variant < Cases(12); ++variant) {
        RouteSpec spec;
        spec.num_experts = Pick(random, {60, 144, 256, 1024});
        spec.top_k = Pick(random, {1, 6, 8, 22, 32});
        spec.score = score;
        spec.weight = weight;
        spec.normalize = variant % 3 != 0;
        spec.normalize_epsilon = variant % 3 == 1 ? 0 : 1e-20f;
        spec.scale = 2.5f;
        spec.scale_before_bias = variant % 2 == 1;
        BackwardLayout layout;
        layout.logits_dtype = Pick(random, {DType::kF32, DType::kBF16, DType::kF16});
        layout.d_weights_dtype = layout.d_logits_dtype = layout.logits_dtype;
        SCOPED_TRACE(absl::StrCat(Describe(spec), ", ", Describe(layout)));
        ExpectSameAsReference(
            RandomBackwardProblem(random, spec, RowsOfEveryKind(random, spec.num_experts, 2 * RowKinds().size())),
            layout);
        if (HasFailure()) return;
      }
    }
  }
}

// Values around every rounding decision of a narrow type, subnormal results and overflow among them, come out of the
// softmax over all experts as the reference rounds them.
TEST_P(CpuBackwardTest, NarrowGradientsAreRoundedAlike) {
  std::mt19937 random(3);
  RouteSpec spec;
  spec.num_experts = 144;
  spec.top_k = 8;
  spec.score = Score::kLogit;
  spec.weight = Weight::kSoftmax;
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    BackwardLayout layout;
    layout.logits_dtype = layout.d_logits_dtype = dtype;
    for (const float scale : {1e-38f, 1e-6f, 1e-3f, 1.0f, 1e5f, 1e38f}) {
      spec.scale = scale;
      SCOPED_TRACE(absl::StrCat(Describe(spec), ", ", Describe(layout)));
      BackwardProblem problem = RandomBackwardProblem(random, spec, RowsOfEveryKind(random, 144, 56));
      ExpectSameAsReference(problem, layout);
    }
  }
}

TEST(CpuBackwardPathTest, IsTheTargetWhereItHasFmaAndTheShapeIsOrdinary) {
  RouteSpec spec;
  spec.num_experts = 1024;
  spec.top_k = 32;
  EXPECT_EQ(CpuBackwardPath(spec), CpuRoutePath(spec));
  spec.num_experts = 1025;
  EXPECT_EQ(CpuBackwardPath(spec), "reference");
  spec.num_experts = 1024;
  spec.top_k = 33;
  EXPECT_EQ(CpuBackwardPath(spec), "reference");
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const HighwayTargetScope scope(target);
    spec.top_k = 32;
    const bool has_fma = !(HWY_ARCH_X86 && target > HWY_AVX2);
    EXPECT_EQ(CpuBackwardPath(spec), has_fma ? hwy::TargetName(target) : "reference");
  }
}

TEST(CpuBackwardPathTest, ShapesBeyondIt) {
  std::mt19937 random(4);
  for (const auto& [num_experts, top_k] : {std::pair(2000, 8), std::pair(1024, 33), std::pair(5000, 700)}) {
    RouteSpec spec = RandomSpec(random, num_experts);
    spec.top_k = top_k;
    spec.num_groups = 0;
    const BackwardProblem problem = RandomBackwardProblem(random, spec, RowsOfEveryKind(random, num_experts, 28));
    ExpectSameBits(TakeBack(RouteBackwardCpu, problem), TakeBack(RouteBackwardReference, problem));
  }
}

}  // namespace
}  // namespace evenkeel::routing
