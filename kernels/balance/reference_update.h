#pragma once

#include <cstdint>
#include <vector>

#include "kernels/balance/update.h"

namespace evenkeel::balance {

// Update() once more, written from the formulas in update.h one line each, with no regard for speed. Tests hold every
// implementation against it, bit for bit. It shares RateAt() and the types with Update(), nothing else.
UpdateReason ReferenceUpdate(const BalanceConfig& config, const StepInfo& info, const std::vector<uint64_t>& counts,
                             uint64_t tokens, LayerState* state);

}  // namespace evenkeel::balance
