#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::balance {

inline constexpr uint64_t kMaxRateTable = uint64_t{1} << 24;  // entries: 64 MiB

// RateAt() of the positions 1 .. n as float32, n >= 1 the first from which the schedule is flat: the last entry is the
// rate of all positions from there on. `config` has passed Validate(). INVALID_ARGUMENT naming the field of the config
// that makes n more than kMaxRateTable. Pure, thread-safe.
absl::StatusOr<std::vector<float>> RateTableOf(const BalanceConfig& config);

}  // namespace evenkeel::balance
