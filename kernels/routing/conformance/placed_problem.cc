#include "kernels/routing/conformance/placed_problem.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "kernels/routing/conformance/router_generators.h"
#include "kernels/routing/half.h"

namespace evenkeel::routing {
namespace {

enum Gap { kLogitsGap, kIdsGap, kWeightsGap, kProbabilitiesGap, kMapGap };

constexpr uint8_t kInputPoison = 0xff;  // a NaN in every float format; the id -1; a row that is valid
constexpr uint8_t kOutputPoison = 0xab;

size_t BytesOf(DType dtype) { return dtype == DType::kF32 ? sizeof(float) : sizeof(uint16_t); }
size_t BytesOf(IdType type) { return type == IdType::kInt32 ? sizeof(int32_t) : sizeof(int64_t); }

void StoreLogits(const std::vector<float>& logits, DType dtype, void* row) {
  if (dtype == DType::kF32) {
    std::copy(logits.begin(), logits.end(), static_cast<float*>(row));
    return;
  }
  for (size_t e = 0; e < logits.size(); ++e) {
    const bool brain = dtype == DType::kBF16;
    static_cast<uint16_t*>(row)[e] = brain ? BFloat16FromFloat(logits[e]) : HalfFromFloat(logits[e]);
  }
}

}  // namespace

Layout RandomLayout(std::mt19937& random) {
  Layout layout;
  layout.logits_dtype = Pick(random, {DType::kF32, DType::kBF16, DType::kF16});
  layout.weights_dtype = Pick(random, {DType::kF32, layout.logits_dtype});
  layout.id_type = Pick(random, {IdType::kInt32, IdType::kInt64});
  for (int& gap : layout.gaps) gap = Pick(random, {0, 0, 1, 3, 64, 1021});
  layout.side = Pick(random, {GuardedMatrix::Side::kFirst, GuardedMatrix::Side::kLast});
  // Everything, counts alone and nothing at all, each in one of eight; else any set of outputs.
  constexpr uint32_t kAny = 0xff;
  uint32_t wanted = Pick(random, {0x3fu, 0x10u, 0x00u, kAny, kAny, kAny, kAny, kAny});
  if (wanted == kAny) wanted = static_cast<uint32_t>(random());
  layout.ids = wanted & 1;
  layout.weights = wanted & 2;
  layout.probabilities = wanted & 4;
  layout.map = wanted & 8;
  layout.counts = wanted & 16;
  layout.stats = wanted & 32;
  layout.keep_masked_rows = random() % 2 == 0;
  return layout;
}

std::string Describe(const Layout& layout) {
  return absl::StrCat("logits=", static_cast<int>(layout.logits_dtype),
                      " weights=", static_cast<int>(layout.weights_dtype), " ids=", static_cast<int>(layout.id_type),
                      " gaps=", absl::StrJoin(layout.gaps, "/"), " side=", static_cast<int>(layout.side),
                      " wanted=", layout.ids, layout.weights, layout.probabilities, layout.map, layout.counts,
                      layout.stats, layout.keep_masked_rows ? " keep" : "");
}

PlacedInput::PlacedInput(const Problem& problem, const Layout& layout)
    : logits_(problem.rows(), problem.spec.num_experts * BytesOf(layout.logits_dtype),
              (problem.spec.num_experts + layout.gaps[kLogitsGap]) * BytesOf(layout.logits_dtype), layout.side,
              kInputPoison),
      bias_(1, problem.bias.size() * sizeof(float), 0, layout.side, kInputPoison),
      valid_(1, problem.valid.size(), 0, layout.side, kInputPoison),
      replay_(problem.replay.empty() ? 0 : problem.rows(), problem.spec.top_k * sizeof(int32_t),
              (problem.spec.top_k + layout.gaps[kIdsGap]) * sizeof(int32_t), layout.side, kInputPoison) {
  input_ = InputOf(problem);
  for (int64_t t = 0; t < problem.rows(); ++t) StoreLogits(problem.row(t), layout.logits_dtype, logits_.row<void>(t));
  input_.logits = logits_.data();
  input_.logits_dtype = layout.logits_dtype;
  input_.logits_stride = problem.spec.num_experts + layout.gaps[kLogitsGap];
  if (!problem.bias.empty()) {
    input_.bias = std::copy(problem.bias.begin(), problem.bias.end(), bias_.row<float>(0)) - problem.bias.size();
  }
  if (!problem.valid.empty()) {
    input_.valid_mask =
        std::copy(problem.valid.begin(), problem.valid.end(), valid_.row<uint8_t>(0)) - problem.valid.size();
  }
  if (!problem.replay.empty()) {
    const int top_k = problem.spec.top_k;
    for (int64_t t = 0; t < problem.rows(); ++t) {
      std::copy_n(problem.replay.begin() + t * top_k, top_k, replay_.row<int32_t>(t));
    }
    input_.replay_ids = replay_.row<int32_t>(0);
    input_.replay_stride = top_k + layout.gaps[kIdsGap];
  }
  for (GuardedMatrix* matrix : {&logits_, &bias_, &valid_, &replay_}) matrix->MakeReadOnly();
}

PlacedOutput::PlacedOutput(const Problem& problem, const Layout& layout)
    : ids_(problem.rows(), problem.spec.top_k * BytesOf(layout.id_type),
           (problem.spec.top_k + layout.gaps[kIdsGap]) * BytesOf(layout.id_type), layout.side, kOutputPoison),
      weights_(problem.rows(), problem.spec.top_k * BytesOf(layout.weights_dtype),
               (problem.spec.top_k + layout.gaps[kWeightsGap]) * BytesOf(layout.weights_dtype), layout.side,
               kOutputPoison),
      probabilities_(problem.rows(), problem.spec.num_experts * sizeof(float),
                     (problem.spec.num_experts + layout.gaps[kProbabilitiesGap]) * sizeof(float), layout.side,
                     kOutputPoison),
      map_(problem.rows(), problem.spec.num_experts, problem.spec.num_experts + layout.gaps[kMapGap], layout.side,
           kOutputPoison),
      counts_(1, problem.spec.num_experts * sizeof(uint64_t), 0, layout.side, kOutputPoison),
      want_stats_(layout.stats) {
  for (int e = 0; e < problem.spec.num_experts; ++e) {
    counts_.row<uint64_t>(0)[e] = (e % 2 == 0 ? uint64_t{1} << 24 : 0xffffffffu) + e;
  }
  output_.id_type = layout.id_type;
  output_.weights_dtype = layout.weights_dtype;
  output_.ids_stride = problem.spec.top_k + layout.gaps[kIdsGap];
  output_.weights_stride = problem.spec.top_k + layout.gaps[kWeightsGap];
  output_.dense_probabilities_stride = problem.spec.num_experts + layout.gaps[kProbabilitiesGap];
  output_.dense_map_stride = problem.spec.num_experts + layout.gaps[kMapGap];
  output_.keep_masked_rows = layout.keep_masked_rows;
  if (layout.ids) output_.ids = ids_.data();
  if (layout.weights) output_.weights = weights_.data();
  if (layout.probabilities) output_.dense_probabilities = probabilities_.row<float>(0);
  if (layout.map) output_.dense_map = map_.row<uint8_t>(0);
  if (layout.counts) output_.counts = counts_.row<uint64_t>(0);
}

void PlacedOutput::ExpectSameAs(const PlacedOutput& expected) const {
  ids_.ExpectSameRows(expected.ids_, "ids");
  weights_.ExpectSameRows(expected.weights_, "weights");
  probabilities_.ExpectSameRows(expected.probabilities_, "probabilities");
  map_.ExpectSameRows(expected.map_, "maps");
  counts_.ExpectSameRows(expected.counts_, "counts");
  for (const GuardedMatrix* matrix : {&ids_, &weights_, &probabilities_, &map_, &counts_}) {
    matrix->ExpectPoisonAroundRows();
  }
  EXPECT_EQ(stats_.valid_rows, expected.stats_.valid_rows);
  EXPECT_EQ(stats_.short_slots, expected.stats_.short_slots);
}

}  // namespace evenkeel::routing
