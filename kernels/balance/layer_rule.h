#pragma once

#include "kernels/balance/balance_config.h"
#include "kernels/balance/rule.h"

namespace evenkeel::balance {

// `config`, which has passed Validate() for a layer of `num_experts`, as the update of that layer reads it. The target
// stays the config's. Pure, thread-safe, allocates nothing.
LayerRule MakeLayerRule(const BalanceConfig& config, int num_experts);

}  // namespace evenkeel::balance
