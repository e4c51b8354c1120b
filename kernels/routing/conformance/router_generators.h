#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "kernels/routing/conformance/router_testing.h"
#include "kernels/routing/route_spec.h"

// Random specs, rows and biases for the tests of routers. What is made depends on the state of `random` only: a seed,
// printed when a test fails, repeats it.
namespace evenkeel::routing {

// The numbers of experts that models have, powers of two and not, and 7.
inline constexpr int kExpertCounts[] = {7, 8, 16, 60, 64, 128, 144, 160, 192, 256, 288, 384, 512, 576, 768, 896, 1024};

template <typename Value>
Value Pick(std::mt19937& random, std::initializer_list<Value> values) {
  return values.begin()[random() % values.size()];
}

// A valid spec, K up to 32, with groups and without.
RouteSpec RandomSpec(std::mt19937& random, int num_experts);

// Rows of normal logits, all finite; a bias in three of four.
Problem RandomProblem(std::mt19937& random, const RouteSpec& spec, int rows);

// Rows that routers have stumbled over: ties of every density, sorted rows, values at both ends of the floats, and
// rows in part or wholly without a finite value.
struct RowKind {
  const char* name;
  void (*fill)(std::mt19937& random, float* row, int num_experts);
  bool finite;  // every value is
};
const std::vector<RowKind>& RowKinds();

// Row t is of the kind t % RowKinds().size().
std::vector<float> RowsOfEveryKind(std::mt19937& random, int num_experts, int64_t rows);

// None (empty), zeros of both signs, small, 7 +- 1/1000, all below -1, wide, one expert far ahead, values that are not
// finite, and so great that sums overflow.
std::vector<float> RandomBias(std::mt19937& random, int num_experts);

// Specs whose groups are as many experts as a warp has lanes, twice as many, parts of that, and of other sizes.
std::vector<RouteSpec> GroupedSpecs();

}  // namespace evenkeel::routing
