#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/naive_router.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/reference/reference_router.h"

// Weights against their exact values, by naive_router.h in double, the ids given. Of the reference: the other routers
// have its bits.
//
// The promise is 8 ulp: sums are trees, whose error grows with the logarithm of what they add, and an exponential is
// taken of the exact difference from the maximum.
// Not asserted, because a float cannot know:
//   rows with values that are not finite, slots that are short;
//   normalisers that cancel (logits of both signs), or are beyond the greatest float (the weights are then 0);
//   weights beyond the greatest float (they are infinite);
//   weights that a value below 2^-120 was scaled up to or normalised to: it has lost bits to underflow.
namespace evenkeel::routing {
namespace {

constexpr double kPromisedUlp = 8;
constexpr double kGreatest = std::numeric_limits<float>::max();

// One ulp at an exact value: the distance of the floats around it.
double Ulp(double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

const char* KindOf(const RouteSpec& spec) {
  static const char* scores[] = {"sigmoid", "softmax", "sqrt softplus", "logit"};
  static const char* weights[] = {"", "softmax of all", "softmax of selected", "sigmoid of selected"};
  return spec.weight == Weight::kScore ? scores[static_cast<int>(spec.score)] : weights[static_cast<int>(spec.weight)];
}

// The values of the chosen experts before normalising.
struct Gathered {
  std::vector<double> values;
  double magnitude = 0;  // the sum of them, made positive
};

Gathered Gather(RouteSpec spec, const std::vector<float>& row, const std::vector<int32_t>& ids) {
  spec.normalize = false;
  if (!(spec.scale_before_bias && spec.weight == Weight::kScore)) spec.scale = 1;
  Gathered gathered;
  gathered.values = NaiveWeigh(spec, row, ids).weights;
  for (const double value : gathered.values) gathered.magnitude += std::fabs(value);
  return gathered;
}

// The worst that was seen of one kind of weight.
struct Worst {
  double ulp = 0;
  int64_t weights = 0;
};

class AccuracyTest : public testing::Test {
 protected:
  ~AccuracyTest() override {
    for (const auto& [kind, worst] : worst_) {
      std::printf("%-33s %8ld weights: worst %.3f ulp\n", kind.c_str(), static_cast<long>(worst.weights), worst.ulp);
    }
  }

  void CheckRow(const RouteSpec& spec, const std::vector<float>& row, const std::vector<int32_t>& ids,
                const std::vector<float>& weights) {
    const NaiveWeights exact = NaiveWeigh(spec, row, ids);
    const Gathered gathered = Gather(spec, row, ids);
    if (exact.condition > 1 + 1e-12 || (spec.normalize && gathered.magnitude > kGreatest)) return;
    for (int slot = 0; slot < spec.top_k; ++slot) {
      const double expected = exact.weights[slot];
      const bool enlarged = spec.normalize || spec.scale > 1;
      const bool lost_bits = enlarged && std::fabs(gathered.values[slot]) < 0x1p-120;
      if (ids[slot] < 0 || lost_bits || std::fabs(expected) > kGreatest) continue;
      const double error = std::fabs(weights[slot] - expected) / Ulp(expected);
      See(spec, error);
      ASSERT_LE(error, kPromisedUlp) << "slot " << slot << ": " << weights[slot] << ", exactly " << expected;
    }
  }

  void CheckAll(const Problem& problem) {
    const Routed routed = RouteAndCheck(RouteReference, problem);
    for (int64_t t = 0; t < problem.rows(); ++t) {
      CheckRow(problem.spec, problem.row(t), routed.row_ids(t), routed.row_weights(t));
      if (HasFatalFailure()) FAIL() << "row " << t;
    }
  }

  int64_t WeightsChecked() const {
    int64_t sum = 0;
    for (const auto& [kind, worst] : worst_) sum += worst.weights;
    return sum;
  }

  size_t KindsChecked() const { return worst_.size(); }

 private:
  void See(const RouteSpec& spec, double error) {
    Worst& worst = worst_[absl::StrCat(KindOf(spec), spec.normalize ? ", normalised" : "")];
    ++worst.weights;
    worst.ulp = std::fmax(worst.ulp, error);
  }

  std::map<std::string, Worst> worst_;
};

TEST_F(AccuracyTest, RandomSpecsAndRows) {
  std::vector<RowKind> kinds;
  for (const RowKind& kind : RowKinds()) {
    if (kind.finite) kinds.push_back(kind);
  }
  constexpr int kProblems = 8000;
  constexpr int kRows = 4;
  int64_t slots = 0;
  for (uint32_t seed = 0; seed < kProblems; ++seed) {
    std::mt19937 random(seed);
    Problem problem;
    problem.spec = RandomSpec(random, kExpertCounts[seed % std::size(kExpertCounts)]);
    const int num_experts = problem.spec.num_experts;
    problem.logits.resize(kRows * num_experts);
    for (int t = 0; t < kRows; ++t) {
      kinds[random() % kinds.size()].fill(random, &problem.logits[t * num_experts], num_experts);
    }
    problem.bias = RandomBias(random, num_experts);
    slots += kRows * problem.spec.top_k;
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", Describe(problem.spec)));
    CheckAll(problem);
    if (HasFatalFailure()) return;
  }
  std::printf("%ld of %ld slots checked\n", static_cast<long>(WeightsChecked()), static_cast<long>(slots));
  EXPECT_GT(WeightsChecked(), slots * 3 / 4);
  EXPECT_EQ(KindsChecked(), 14);
}

// Every family, on rows such as it meets.
TEST_F(AccuracyTest, Families) {
  for (const auto& [name, spec] : routing::Families()) {
    std::mt19937 random(7);
    SCOPED_TRACE(name);
    for (int i = 0; i < 8; ++i) CheckAll(RandomProblem(random, spec, 32));
    if (HasFatalFailure()) return;
  }
}

// One expert ahead of all others by so much that each is about half an ulp of it: added to it one by one, they would be
// lost.
TEST_F(AccuracyTest, OneExpertAheadOfAPlain) {
  for (const int num_experts : {256, 512, 1024, 16384}) {
    for (const int top_k : {1, 8}) {
      Problem problem;
      problem.spec.num_experts = num_experts;
      problem.spec.top_k = top_k;
      problem.spec.score = Score::kSoftmax;
      for (float ahead = 14; ahead < 18; ahead += 0.03f) {
        problem.logits.push_back(ahead);
        problem.logits.resize(problem.logits.size() + num_experts - 1);
      }
      SCOPED_TRACE(Describe(problem.spec));
      CheckAll(problem);
      if (HasFatalFailure()) return;
    }
  }
}

// The bias chooses experts that are far below the best: rounded, the distance from it would be off by 2^-18.
TEST_F(AccuracyTest, ChosenFarBelowTheBest) {
  for (const bool normalize : {false, true}) {
    for (const int top_k : {2, 8}) {
      std::mt19937 random(8);
      Problem problem;
      problem.spec.num_experts = 16;
      problem.spec.top_k = top_k;
      problem.spec.score = Score::kSoftmax;
      problem.spec.normalize = normalize;
      std::uniform_real_distribution<float> above(0, 1);
      std::uniform_real_distribution<float> below(-70, -64);
      for (int i = 0; i < 20000 * 16; ++i) problem.logits.push_back(i % 16 == 0 ? above(random) : below(random));
      problem.bias.assign(16, 0.0f);
      problem.bias[0] = -9;
      SCOPED_TRACE(Describe(problem.spec));
      CheckAll(problem);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace evenkeel::routing
