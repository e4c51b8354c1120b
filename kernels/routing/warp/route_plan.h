#pragma once

#include <cstdint>

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

struct RoutePlan {
  RouteSpec spec;
  RouteInput input;
  RouteOutput output;

  bool groups;                // groups are on and scores select
  int experts_per_group;      // with groups
  int group_score_terms;      // with groups
  uint32_t group_reciprocal;  // expert e is of group (e * group_reciprocal) >> kGroupShift
  bool scores_select;         // no replay, no forced balance
  bool wants_weights;
  bool needs_softmax;   // over all experts, for selection or for weights
  bool scales_weights;  // at the end; if not, the scores have been
  bool bounded_scores;  // a finite bias added to a score is never infinite
  bool prunes;          // selection may begin with approximate scores
  uint64_t seed;        // of random balance
};

inline constexpr int kGroupShift = 20;

// The arguments are valid, by ValidateRoute, and FitsWarp.
RoutePlan MakeRoutePlan(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output);

}  // namespace evenkeel::routing
