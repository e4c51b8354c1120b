#pragma once

#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/guarded_matrix.h"
#include "kernels/routing/conformance/routers_under_test.h"
#include "kernels/routing/route_backward.h"

// What the tests of a backward pass share.
namespace evenkeel::routing {

// A backward pass: what RouteBackwardReference is.
using BackwardFunction = absl::Status (*)(const RouteSpec& spec, const RouteBackwardInput& input,
                                          const RouteBackwardOutput& output);

// Rows to take back, in plain vectors without gaps.
struct BackwardProblem {
  RouteSpec spec;
  std::vector<float> logits;           // [T, E]
  std::vector<int32_t> ids;            // [T, K]
  std::vector<float> d_weights;        // [T, K] or empty
  std::vector<float> d_probabilities;  // [T, E] or empty

  int64_t rows() const { return static_cast<int64_t>(logits.size()) / spec.num_experts; }
};

// The logits' rows routed with `bias` (empty means 0), and normal gradients: by weights, dense, or both.
enum class Gradients { kByWeights, kDense, kBoth };
BackwardProblem MakeBackwardProblem(std::mt19937& random, const RouteSpec& spec, const std::vector<float>& logits,
                                    const std::vector<float>& bias, Gradients gradients);

// How a caller may lay a problem out in memory.
struct BackwardLayout {
  DType logits_dtype = DType::kF32;
  DType d_weights_dtype = DType::kF32;
  DType d_logits_dtype = DType::kF32;
  IdType id_type = IdType::kInt32;
  int gaps[5] = {};  // elements between rows: logits, ids, d_weights, d_probabilities, d_logits
  GuardedMatrix::Side side = GuardedMatrix::Side::kLast;
};
BackwardLayout RandomBackwardLayout(std::mt19937& random);
std::string Describe(const BackwardLayout& layout);

// d_logits [T, E], widened to float32. The inputs lie in memory that cannot be written, rounded to the layout's types.
// Checks that the pass succeeds, writes every element of every row, and nothing else.
std::vector<float> TakeBack(BackwardFunction backward, const BackwardProblem& problem,
                            const BackwardLayout& layout = BackwardLayout());

// Checks that the two are the same bits, any NaN being as good as any other.
void ExpectSameBits(const std::vector<float>& got, const std::vector<float>& expected);

// The backward passes that the tests of the contract run on, as RouterUnderTest.
struct BackwardUnderTest {
  std::string name;  // "reference", "cpu_AVX2", "cuda"
  BackwardFunction backward;
  int64_t highway_target = 0;
  bool copies = false;
};
std::ostream& operator<<(std::ostream& out, const BackwardUnderTest& pass);
std::vector<BackwardUnderTest> BackwardsUnderTest();  // by the list that is linked: the reference first
std::string BackwardName(const testing::TestParamInfo<BackwardUnderTest>& info);

// A test that runs once for each backward pass it is instantiated with.
class BackwardTest : public testing::TestWithParam<BackwardUnderTest> {
 protected:
  std::vector<float> TakeBack(const BackwardProblem& problem, const BackwardLayout& layout = BackwardLayout()) const {
    return routing::TakeBack(GetParam().backward, problem, layout);
  }

 private:
  const HighwayTargetScope target_{GetParam().highway_target};
};

}  // namespace evenkeel::routing
