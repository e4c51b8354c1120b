#include <cstdint>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/backward_generators.h"
#include "kernels/routing/conformance/backward_testing.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/reference/reference_backward.h"

// Every backward pass against the reference, bit for bit.
namespace evenkeel::routing {
namespace {

constexpr int kTopKs[] = {1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 15, 16, 17, 22, 24, 25, 31, 32};

class BackwardBitsTest : public BackwardTest {
 protected:
  // Both passes, on the same inputs.
  void ExpectSameAsReference(const BackwardProblem& problem, const BackwardLayout& layout) const {
    ExpectSameBits(TakeBack(problem, layout), routing::TakeBack(RouteBackwardReference, problem, layout));
  }
};

INSTANTIATE_TEST_SUITE_P(All, BackwardBitsTest, testing::ValuesIn(BackwardsUnderTest()), BackwardName);

// Whatever a caller may ask for, all at once.
TEST_P(BackwardBitsTest, RandomProblemsInRandomLayouts) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
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
TEST_P(BackwardBitsTest, EveryShape) {
  std::mt19937 random(1);
  std::vector<int> expert_counts = {1, 31, 32, 33, 127, 129, 257, 385, 513};
  expert_counts.insert(expert_counts.end(), std::begin(kExpertCounts), std::end(kExpertCounts));
  for (const int num_experts : expert_counts) {
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
TEST_P(BackwardBitsTest, EveryScoreAndWeight) {
  std::mt19937 random(2);
  for (const Score score : {Score::kSigmoid, Score::kSoftmax, Score::kSqrtSoftplus, Score::kLogit}) {
    for (const Weight weight :
         {Weight::kScore, Weight::kSoftmax, Weight::kSoftmaxOfSelected, Weight::kSigmoidOfSelected}) {
      for (int variant = 0; variant < 12; ++variant) {
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
TEST_P(BackwardBitsTest, NarrowGradientsAreRoundedAlike) {
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

// What no fast pass takes.
TEST_P(BackwardBitsTest, GreatShapes) {
  std::mt19937 random(4);
  for (const auto& [num_experts, top_k] : {std::pair(2000, 8), std::pair(1024, 33), std::pair(5000, 700)}) {
    RouteSpec spec = RandomSpec(random, num_experts);
    spec.top_k = top_k;
    spec.num_groups = 0;
    SCOPED_TRACE(Describe(spec));
    ExpectSameAsReference(RandomBackwardProblem(random, spec, RowsOfEveryKind(random, num_experts, 28)),
                          BackwardLayout());
  }
}

}  // namespace
}  // namespace evenkeel::routing
