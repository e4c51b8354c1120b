#include "kernels/routing/conformance/same_as_reference.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/reference/reference_router.h"

namespace evenkeel::routing {
namespace {

// K distinct ids, and some that a replay must refuse.
std::vector<int32_t> RandomReplay(std::mt19937& random, const RouteSpec& spec, int64_t rows) {
  std::vector<int32_t> experts(spec.num_experts);
  std::iota(experts.begin(), experts.end(), 0);
  std::vector<int32_t> replay;
  for (int64_t t = 0; t < rows; ++t) {
    std::shuffle(experts.begin(), experts.end(), random);
    replay.insert(replay.end(), experts.begin(), experts.begin() + spec.top_k);
    for (int i = static_cast<int>(random() % 3); i > 0; --i) {
      replay[t * spec.top_k + random() % spec.top_k] =
          Pick(random, {-1, spec.num_experts, -77, INT32_MIN, INT32_MAX, replay.back()});
    }
  }
  return replay;
}

// Replay, forced balance and a mask, each now and then.
void AddModes(std::mt19937& random, Problem& problem) {
  switch (random() % 8) {
    case 0:
      problem.replay = RandomReplay(random, problem.spec, problem.rows());
      break;
    case 1:
      problem.forced.mode = ForcedBalance::Mode::kRoundRobin;
      break;
    case 2:
      problem.forced.mode = ForcedBalance::Mode::kRandom;
      problem.forced.seed = random();
      break;
  }
  if (random() % 3 != 0) return;
  const uint32_t masked = Pick<uint32_t>(random, {2, 8, 1});  // one in so many
  for (int64_t t = 0; t < problem.rows(); ++t) problem.valid.push_back(random() % masked == 0 ? 0 : 1 + random() % 255);
}

}  // namespace

void ExpectSameAsReference(RouteFunction route, const Problem& problem, const Layout& layout) {
  const PlacedInput input(problem, layout);
  PlacedOutput expected(problem, layout);
  PlacedOutput output(problem, layout);
  ASSERT_TRUE(RouteReference(problem.spec, input.input(), expected.output(), expected.stats()).ok());
  ASSERT_TRUE(route(problem.spec, input.input(), output.output(), output.stats()).ok());
  output.ExpectSameAs(expected);
}

RandomCase MakeRandomCase(std::mt19937& random) {
  const bool listed = random() % 4 != 0;
  const int num_experts = listed ? kExpertCounts[random() % std::size(kExpertCounts)] : 1 + random() % 1100;
  Problem problem;
  problem.spec = RandomSpec(random, num_experts);
  if (random() % 8 == 0) problem.spec.scale = Pick(random, {1e38f, 1e-38f});
  if (random() % 8 == 0) problem.spec.normalize_min = Pick(random, {4.0f, 1e-40f});
  const int64_t rows = Pick(random, {0, 1, 2, 3, 5, 8, 9, 20});
  problem.logits = RowsOfEveryKind(random, num_experts, rows + RowKinds().size());
  const size_t first = random() % RowKinds().size() * num_experts;
  problem.logits.erase(problem.logits.begin(), problem.logits.begin() + first);
  problem.logits.resize(rows * num_experts);
  problem.bias = RandomBias(random, num_experts);
  AddModes(random, problem);
  return {problem, RandomLayout(random)};
}

std::string Describe(const RandomCase& any) {
  return absl::StrCat(Describe(any.problem.spec), ", rows=", any.problem.rows(), ", ", Describe(any.layout));
}

}  // namespace evenkeel::routing
