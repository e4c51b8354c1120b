#pragma once

#include <cstdint>

#include "kernels/balance/balance_config.h"

namespace evenkeel::balance {

// The rate at `position`: the number of steps of the job committed with ok = true, this one included (the
// first is 1). `config` has passed Validate(). The result is finite and >= 0, and the same bits on every
// host: made of IEEE double add, subtract, multiply and divide in a fixed order, the cosine too. Pure,
// thread-safe, allocates nothing.
double RateAt(const BalanceConfig& config, uint64_t position);

}  // namespace evenkeel::balance
