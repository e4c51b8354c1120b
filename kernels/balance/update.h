#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/balance/balance_config.h"
#include "kernels/balance/layer_state.h"
#include "kernels/balance/step_info.h"
#include "kernels/balance/update_reason.h"

// The one place where a bias moves. Coordinator, worker and replay call it, and all get the same bits: counts
// are integers, everything else is float32 (or double where stated) in a fixed order without contraction.
//
// With the counts since the last update, sum their sum, E = num_experts and d the wanted count of an expert:
//   error   kSign: sign(sum - E*c) in integers, or of target*sum - c in double
//           kProportional: (sum - E*c) / sum, numerator exact, or (target*sum - c) / (target*sum); in double
//           kFrequency: none; the EMA is of the share c / sum
//   EMA     ema = m*ema + (1-m)*error; divided by 1 - m^t on use if ema_correction (the stored EMA is not)
//   delta   rate * ema; kFrequency: rate * (wanted share - ema)
//   centre  kDelta: delta -= mean(delta)
//   add     bias += delta
//   centre  kState: bias -= mean(bias)
//   cap     kAbsolute: to [-cap, cap]; kDeviation: to [mean(bias) - cap, mean(bias) + cap]
// Means are over the experts that move, summed in index order in double, rounded once. An expert with a
// negative target keeps its bias and its EMA; its counts are in the sum.
namespace evenkeel::balance {

// Commits one step of one layer. `counts` [num_experts]: assignments of the step, summed over ranks;
// `tokens`: its valid tokens. Sets last_commit and last_reason, and last_update if it answers kMoved; beyond
// those, changes `state` only if it answers kMoved or kBelowMinTokens.
//
// `config` has passed Validate() for this layer, `state` has its size. Aborts if a size differs, or if what it
// adds up exceeds kMaxCountSum: the caller refuses such input. A config may change between steps; pending counts
// then go into the next update, and so does the EMA. Where the rule is another, the EMA is of another quantity: the
// caller begins it anew (0, product 1). Allocates nothing. Thread-compatible.
UpdateReason Update(const BalanceConfig& config, const StepInfo& info, absl::Span<const uint64_t> counts,
                    uint64_t tokens, LayerState* state);

// Commits a step that moves nothing, whatever it counted, for that reason (kSkipped, kReplayed or kHalted).
void RecordUnmoved(uint64_t step, UpdateReason reason, LayerState* state);

}  // namespace evenkeel::balance
