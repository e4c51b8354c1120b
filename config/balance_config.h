#pragma once

#include "absl/status/statusor.h"
#include "evenkeel/v1/balance_config.pb.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::config {

// The preset (absent: evenkeel) with the fields that are present on top, not yet held against a number of experts:
// balance::Validate does that, and judges the numbers. INVALID_ARGUMENT, naming field and value, for an unknown preset
// or enum value; naming the field, for a schedule without a kind and a point without a position or a ratio.
absl::StatusOr<balance::BalanceConfig> BalanceConfigFromProto(const v1::BalanceConfig& message);

// The inverse, with every field set and no preset. An enum value that does not exist aborts.
v1::BalanceConfig BalanceConfigToProto(const balance::BalanceConfig& config);

// `base` with the fields that are present in `override_fields` on top; schedule and target are replaced as a whole. A
// preset in `override_fields` drops `base` first. There is no way to take a target back to uniform but a preset.
v1::BalanceConfig Overridden(const v1::BalanceConfig& base, const v1::BalanceConfig& override_fields);

}  // namespace evenkeel::config
