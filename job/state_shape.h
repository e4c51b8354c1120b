#pragma once

#include "absl/status/status.h"
#include "evenkeel/v1/snapshot.pb.h"

namespace evenkeel::job {

// Holds a state against its own spec. INVALID_ARGUMENT, naming the field and its value, unless
//   spec         has a name, contributors >= 1 and at least one layer; layers in strictly ascending order of names,
//                each with 1 <= top_k <= num_experts <= 16384 and 0 <= streams <= 16
//   layers       has one entry for each stream of each layer, in that order
//   bias, ema    are finite, float32 [num_experts]
//   momentum     likewise, or empty
//   pending_counts, last_counts    have num_experts entries
//   last_dispatched                likewise, or none where the layer does not count what was dispatched
//   ema_product  is in [0, 1]
//   steps        last_update <= last_commit <= version.step for every layer, and position <= version.step
//   last_commit  names contributors of the job, in strictly ascending order, and stale versions that ascend to below
//                version.step
//   move         if there is one, has routed_with.step <= base_step < version.step, and an entry for each of `layers`,
//                with as many counts as there are experts, or none
// What the spec's settings mean is not looked at. Pure, thread-safe.
absl::Status CheckStateShape(const v1::JobState& state);

}  // namespace evenkeel::job
