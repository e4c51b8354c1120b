#include "kernels/routing/conformance/router_testing.h"

#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

constexpr int32_t kPoisonId = -77;
constexpr float kPoisonWeight = -12345;
constexpr uint8_t kPoisonMap = 0xAA;

template <typename Value>
std::vector<Value> Slice(const std::vector<Value>& matrix, int64_t row, int64_t columns) {
  return {matrix.begin() + row * columns, matrix.begin() + (row + 1) * columns};
}

void CheckRow(const Problem& problem, const Routed& routed, int64_t t) {
  const RouteSpec& spec = problem.spec;
  const std::vector<int32_t> ids = routed.row_ids(t);
  const std::vector<float> weights = routed.row_weights(t);
  const bool masked = !problem.valid.empty() && problem.valid[t] == 0;
  std::vector<float> probabilities(spec.num_experts, 0.0f);
  std::vector<uint8_t> map(spec.num_experts, 0);
  std::set<int32_t> seen;
  for (int slot = 0; slot < spec.top_k; ++slot) {
    const int32_t id = ids[slot];
    ASSERT_GE(id, -1) << "row " << t;
    ASSERT_LT(id, spec.num_experts) << "row " << t;
    ASSERT_FALSE(masked && id >= 0) << "row " << t;
    if (id < 0) {
      ASSERT_EQ(weights[slot], 0) << "row " << t << " slot " << slot;
      continue;
    }
    ASSERT_TRUE(seen.insert(id).second) << "row " << t << " has expert " << id << " twice";
    if (problem.replay.empty()) {
      ASSERT_TRUE(slot == 0 || ids[slot - 1] >= 0) << "row " << t << ": a short slot before another";
    }
    probabilities[id] = weights[slot];
    map[id] = 1;
  }
  ASSERT_EQ(Slice(routed.probabilities, t, spec.num_experts), probabilities) << "row " << t;
  ASSERT_EQ(Slice(routed.map, t, spec.num_experts), map) << "row " << t;
}

void CheckCounts(const Problem& problem, const Routed& routed) {
  std::vector<uint64_t> counts(problem.spec.num_experts, 0);
  int64_t valid_rows = 0;
  for (int64_t t = 0; t < problem.rows(); ++t) {
    valid_rows += problem.valid.empty() || problem.valid[t] != 0;
    for (const int32_t id : routed.row_ids(t)) {
      if (id >= 0) ++counts[id];
    }
  }
  EXPECT_EQ(routed.counts, counts);
  EXPECT_EQ(routed.stats.valid_rows, valid_rows);
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  EXPECT_EQ(sum, problem.spec.top_k * valid_rows - routed.stats.short_slots);
}

RouteSpec Spec(int num_experts, int top_k, Score score, Weight weight) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = top_k;
  spec.score = score;
  spec.weight = weight;
  return spec;
}

}  // namespace

std::vector<float> Problem::row(int64_t t) const { return Slice(logits, t, spec.num_experts); }

std::vector<int32_t> Routed::row_ids(int64_t t) const { return Slice(ids, t, top_k); }

std::vector<float> Routed::row_weights(int64_t t) const { return Slice(weights, t, top_k); }

RouteInput InputOf(const Problem& problem) {
  RouteInput input;
  input.logits = problem.logits.data();
  input.rows = problem.rows();
  input.logits_stride = problem.spec.num_experts;
  input.bias = problem.bias.empty() ? nullptr : problem.bias.data();
  input.valid_mask = problem.valid.empty() ? nullptr : problem.valid.data();
  input.replay_ids = problem.replay.empty() ? nullptr : problem.replay.data();
  input.replay_stride = problem.spec.top_k;
  input.forced = problem.forced;
  return input;
}

Routed RouteAndCheck(RouteFunction route, const Problem& problem) {
  const RouteSpec& spec = problem.spec;
  const int64_t rows = problem.rows();
  Routed routed;
  routed.top_k = spec.top_k;
  routed.ids.assign(rows * spec.top_k, kPoisonId);
  routed.weights.assign(rows * spec.top_k, kPoisonWeight);
  routed.probabilities.assign(rows * spec.num_experts, kPoisonWeight);
  routed.map.assign(rows * spec.num_experts, kPoisonMap);
  routed.counts.assign(spec.num_experts, 0);

  RouteOutput output;
  output.ids = routed.ids.data();
  output.ids_stride = spec.top_k;
  output.weights = routed.weights.data();
  output.weights_stride = spec.top_k;
  output.dense_probabilities = routed.probabilities.data();
  output.dense_probabilities_stride = spec.num_experts;
  output.dense_map = routed.map.data();
  output.dense_map_stride = spec.num_experts;
  output.counts = routed.counts.data();
  const absl::Status status = route(spec, InputOf(problem), output, &routed.stats);
  EXPECT_TRUE(status.ok()) << status << ", " << Describe(spec);
  for (int64_t t = 0; t < rows; ++t) CheckRow(problem, routed, t);
  CheckCounts(problem, routed);
  return routed;
}

std::string Describe(const RouteSpec& spec) {
  return absl::StrCat("E=", spec.num_experts, " K=", spec.top_k, " score=", static_cast<int>(spec.score),
                      " weight=", static_cast<int>(spec.weight), " groups=", spec.num_groups, "/", spec.top_groups,
                      " group_score=", static_cast<int>(spec.group_score), " biased=", spec.group_score_biased,
                      " fill=", static_cast<int>(spec.dropped_group_fill), " normalize=", spec.normalize,
                      " epsilon=", spec.normalize_epsilon, " min=", spec.normalize_min, " scale=", spec.scale,
                      " before_bias=", spec.scale_before_bias);
}

std::vector<Family> Families() {
  RouteSpec deepseek_v3 = Spec(256, 8, Score::kSigmoid, Weight::kScore);
  deepseek_v3.num_groups = 8;
  deepseek_v3.top_groups = 4;
  deepseek_v3.normalize = true;
  deepseek_v3.normalize_epsilon = 1e-20f;
  deepseek_v3.scale = 2.5f;

  RouteSpec deepseek_v2 = Spec(160, 6, Score::kSoftmax, Weight::kScore);
  deepseek_v2.num_groups = 8;
  deepseek_v2.top_groups = 3;
  deepseek_v2.group_score = GroupScore::kMax;
  deepseek_v2.dropped_group_fill = DroppedGroupFill::kZero;
  deepseek_v2.scale = 16;

  RouteSpec deepseek_v4 = Spec(256, 6, Score::kSqrtSoftplus, Weight::kScore);
  deepseek_v4.normalize = true;
  deepseek_v4.normalize_epsilon = 1e-20f;
  deepseek_v4.scale = 1.5f;

  RouteSpec qwen2_moe = Spec(60, 4, Score::kLogit, Weight::kSoftmax);
  RouteSpec qwen3_moe = Spec(128, 8, Score::kLogit, Weight::kSoftmaxOfSelected);

  RouteSpec ernie = Spec(64, 6, Score::kSoftmax, Weight::kScore);
  ernie.normalize = true;
  ernie.normalize_min = 1e-12f;

  RouteSpec longcat = Spec(768, 12, Score::kSoftmax, Weight::kScore);
  longcat.scale = 6;

  RouteSpec hyper_parallel = Spec(128, 8, Score::kSigmoid, Weight::kScore);
  hyper_parallel.num_groups = 8;
  hyper_parallel.top_groups = 4;
  hyper_parallel.group_score = GroupScore::kMax;
  hyper_parallel.group_score_biased = false;
  hyper_parallel.scale = 2.5f;
  hyper_parallel.scale_before_bias = true;

  return {{"deepseek_v3", deepseek_v3},
          {"deepseek_v2", deepseek_v2},
          {"deepseek_v4", deepseek_v4},
          {"mixtral", Spec(8, 2, Score::kLogit, Weight::kSoftmaxOfSelected)},
          {"gpt_oss", Spec(128, 4, Score::kLogit, Weight::kSoftmaxOfSelected)},
          {"qwen2_moe", qwen2_moe},
          {"qwen3_moe", qwen3_moe},
          {"llama4", Spec(16, 1, Score::kLogit, Weight::kSigmoidOfSelected)},
          {"ernie", ernie},
          {"longcat", longcat},
          {"hyper_parallel", hyper_parallel}};
}

std::ostream& operator<<(std::ostream& out, const Family& family) { return out << family.name; }

}  // namespace evenkeel::routing
