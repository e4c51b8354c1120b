#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "job/layer_table.h"
#include "job/step_sums.h"

namespace evenkeel::core {

// What one contributor counted in one step, checked against the layer table; nothing, where it has lost the counts.
class Contribution {
 public:
  Contribution() = default;

  // Takes the counts out of `push`, whose sender owns the layers `owned` (ascending).
  //   INVALID_ARGUMENT  SHAPE_MISMATCH: an array has the wrong length (with counts_lost all are empty);
  //                     COUNTS_INCONSISTENT: a layer's counts are not top_k * valid tokens - short slots, or have more
  //                     slots than balance::kMaxCountSum; the message names the layer
  //   UNIMPLEMENTED     dispatched counts are given
  static absl::StatusOr<Contribution> Take(const job::LayerTable& layers, const std::vector<int>& owned,
                                           v1::PushRequest* push);

  // Valid tokens of each owned layer; empty where the counts were lost.
  const std::vector<uint64_t>& tokens() const { return tokens_; }

  void AddTo(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums) const;
  void SubtractFrom(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums) const;

 private:
  uint64_t count(int i) const {
    return counts_.low(i) | (counts_.high_size() > 0 ? uint64_t{counts_.high(i)} << 32 : 0);
  }

  v1::Counts counts_;
  std::vector<uint64_t> tokens_;
};

// XXH3-64 of everything in `push` that a repetition must repeat: all but the epoch, which changes when the coordinator
// restarts.
uint64_t PayloadHash(const v1::PushRequest& push);

}  // namespace evenkeel::core
