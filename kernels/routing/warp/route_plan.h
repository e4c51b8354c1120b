#pragma once

#include <cstdint>

#include "kernels/ieee.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_spec.h"

// A call of a router, and what follows from it for every row, as a warp needs it: plain data, passed to a kernel by
// value. Pointers are the caller's.
namespace evenkeel::routing {

// The greatest rows that a warp of 32 lanes routes: a slot a lane, 32 experts a lane.
inline constexpr int kMaxWarpExperts = 1024;
inline constexpr int kMaxWarpSlots = 32;

inline bool FitsWarp(const RouteSpec& spec) {
  return spec.num_experts <= kMaxWarpExperts && spec.top_k <= kMaxWarpSlots;
}

// Registers a lane for so many experts: of 4, 8, 12, 16 and 32 the least that do.
inline int WarpRegisters(int num_experts) {
  const int needed = (num_experts + 31) / 32;
  return needed <= 16 ? (needed + 3) / 4 * 4 : 32;
}

// Groups of experts can be halved between the lanes of so many registers, as row_near_groups-inl.h does.
constexpr bool GroupsFitRegisters(int registers) { return (registers & (registers - 1)) == 0; }

// From a row of each matrix to one that is so many rows on; 0 for a matrix that is not wanted.
struct RowBytes {
  int64_t logits;
  int64_t ids;
  int64_t weights;
};

struct RoutePlan {
  RouteSpec spec;
  RouteInput input;
  RouteOutput output;

  bool groups;                // groups are on and scores select
  int experts_per_group;      // with groups
  int group_score_terms;      // with groups
  bool groups_in_registers;   // as row_near_groups-inl.h shares them out; else 2^group_lane_bits lanes walk over each
  int group_lane_bits;        // with at most 32 groups
  uint32_t group_reciprocal;  // expert e is of group (e * group_reciprocal) >> kGroupShift
  bool scores_select;         // no replay, no forced balance
  bool wants_weights;         // in any form
  bool stores_ids;            // [T, K], as the next
  bool stores_weights;
  bool counts;
  bool needs_softmax;   // over all experts, for selection or for weights
  bool scales_weights;  // at the end; if not, the scores have been
  bool bounded_scores;  // a finite bias added to a score is never infinite
  bool prunes;          // selection begins with approximate scores
  float score_error;    // how far these may be off
  uint64_t seed;        // of random balance
  RowBytes row_bytes;   // to the next row
};

inline constexpr int kGroupShift = 20;

inline RowBytes Times(int64_t rows, const RowBytes& bytes) {
  return {rows * bytes.logits, rows * bytes.ids, rows * bytes.weights};
}

// The arguments are valid, by ValidateRoute, and FitsWarp.
RoutePlan MakeRoutePlan(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output);

// What a kernel is compiled for, so that nothing asks about it for every row.
enum class RoutePath {
  kAny,
  kSigmoid,         // DeepSeek-V3 and its like without groups
  kGroupedSigmoid,  // with groups of 32 experts, by their two best
  kChosenSoftmax,   // the softmax of the best logits: Qwen3, Mixtral, gpt-oss
};

// Visits what is settled on a path, and its value. What is wanted is ids, as int32, weights, as float32, and counts.
template <class Visit>
EVENKEEL_HD_INLINE void VisitSettled(RoutePath path, RoutePlan& plan, Visit& visit) {
  if (path == RoutePath::kAny) return;
  const bool sigmoid = path != RoutePath::kChosenSoftmax;
  const bool grouped = path == RoutePath::kGroupedSigmoid;
  visit(plan.prunes, true);
  visit(plan.scores_select, true);
  visit(plan.spec.score, sigmoid ? Score::kSigmoid : Score::kLogit);
  visit(plan.spec.weight, sigmoid ? Weight::kScore : Weight::kSoftmaxOfSelected);
  visit(plan.spec.scale_before_bias, false);
  visit(plan.bounded_scores, sigmoid);
  visit(plan.needs_softmax, false);
  visit(plan.scales_weights, true);
  visit(plan.wants_weights, true);
  visit(plan.stores_ids, true);
  visit(plan.stores_weights, true);
  visit(plan.counts, true);
  visit(plan.groups, grouped);
  if (grouped) {
    visit(plan.experts_per_group, 32);
    visit(plan.group_score_terms, 2);
    visit(plan.groups_in_registers, true);
    visit(plan.spec.group_score_biased, true);
    visit(plan.spec.dropped_group_fill, DroppedGroupFill::kNegInf);
  }
  visit(plan.output.id_type, IdType::kInt32);
  visit(plan.output.weights_dtype, DType::kF32);
  visit(plan.output.dense_probabilities, nullptr);
  visit(plan.output.dense_map, nullptr);
}

struct SettleField {
  template <typename Field, typename Value>
  EVENKEEL_HD_INLINE void operator()(Field& field, Value value) const {
    field = value;
  }
};

// The path on which nothing is settled otherwise than in the plan, if num_experts is 32 * WarpRegisters; kAny where
// there is none.
RoutePath PathOf(const RoutePlan& plan);

// The plan itself, which is of this path: where the compiler knows the path, it knows what is settled.
EVENKEEL_HD_INLINE RoutePlan Settled(RoutePath path, int registers, RoutePlan plan) {
  const SettleField settle;
  VisitSettled(path, plan, settle);
  if (path != RoutePath::kAny) plan.spec.num_experts = 32 * registers;
  return plan;
}

}  // namespace evenkeel::routing
