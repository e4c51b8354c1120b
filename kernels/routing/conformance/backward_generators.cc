#include "kernels/routing/conformance/backward_generators.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "kernels/routing/conformance/router_generators.h"

namespace evenkeel::routing {
namespace {

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

}  // namespace

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

}  // namespace evenkeel::routing
