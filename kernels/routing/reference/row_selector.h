#pragma once

#include <cstdint>
#include <vector>

#include "kernels/routing/best_list.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::routing {

// Chooses the experts of one row after another, as route.h says: candidates, group filter, the K best in order. Plain
// scalar code with a workspace of O(num_experts); nothing is allocated after construction. One thread at a time.
//
// Every function writes ids[0 .. K - 1], with -1 in the short slots.
class RowSelector {
 public:
  explicit RowSelector(const RouteSpec& spec);

  // The best candidates by score + bias. `scores` is [E]; `bias` is [E], or null for 0.
  void ByScore(const float* scores, const float* bias, int32_t* ids);

  // A row without candidates.
  void None(int32_t* ids) const;

  // The K given ids, each in its slot; short are those that are out of range or were in an earlier slot.
  void Replay(const int32_t* given, int32_t* ids);

  // Forced balance, see forced_balance.h.
  void RoundRobin(int64_t row, int32_t* ids) const;
  void Random(uint64_t seed, int64_t row, int32_t* ids);

 private:
  void FilterGroups(const float* scores);
  void TakeBest(int32_t* ids);

  const RouteSpec spec_;
  std::vector<float> keys_;     // [E]: what experts are sorted by; minus infinity for one that is no candidate
  BestList best_;               // experts, of the row or of one group
  BestList best_groups_;        // groups that have candidates
  std::vector<bool> kept_;      // [groups]
  std::vector<bool> replayed_;  // [E]
};

}  // namespace evenkeel::routing
