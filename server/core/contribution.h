#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/layer_table.h"
#include "job/step_sums.h"

namespace evenkeel::core {

// What one contributor counted in one step, checked against the layer table; nothing, where it has lost the counts. A
// step's takes the place of the one before, in its memory.
class Contribution {
 public:
  // Takes the counts out of `push`, whose sender owns the rows `owned` (ascending) of `layers`, and leaves it memory
  // for others. This holds no more than twice what it needs. After an error both are as before. INVALID_ARGUMENT:
  //   SHAPE_MISMATCH           an array has the wrong length (with counts_lost all are empty; `dispatched` has the
  //                            experts of the rows that count what a capacity limit left)
  //   COUNTS_INCONSISTENT      a row's counts are not top_k * valid tokens - short slots, or have more slots than
  //                            balance::kMaxCountSum; the message names the layer
  //   DISPATCHED_INCONSISTENT  more is dispatched to an expert than was routed to it; the message names both
  absl::Status Take(const job::LayerTable& layers, const std::vector<int>& owned, v1::PushRequest* push);

  // Nothing is counted any more.
  void Clear() { tokens_.clear(); }

  // Valid tokens of each owned row; empty where the counts were lost.
  const std::vector<uint64_t>& tokens() const { return tokens_; }

  void AddTo(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums) const;
  void SubtractFrom(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums) const;

 private:
  // Calls `apply` with the counts of each row, in each plane that it has, and their place in `sums`.
  template <typename Apply>
  void ForEachRow(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums, Apply apply) const;

  v1::Counts routed_;
  v1::Counts dispatched_;
  std::vector<uint64_t> tokens_;
};

// XXH3-64 of everything in `push` that a repetition must repeat: all but the epoch, which changes when the coordinator
// restarts.
uint64_t PayloadHash(const v1::PushRequest& push);

}  // namespace evenkeel::core
