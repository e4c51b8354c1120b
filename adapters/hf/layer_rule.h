#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "adapters/hf/config_map.h"
#include "adapters/hf/family.h"

namespace evenkeel::hf {

inline constexpr int kMaxLayers = 4096;

enum class LayerKind { kDense, kMoe, kHash };

// What each decoder layer is, by mlp_layer_types where the config has it, and else by the family's rule. Errors are
// INVALID_ARGUMENT and name the field. Lists may go on for the layers that predict further tokens, which are left out.
absl::StatusOr<std::vector<LayerKind>> ReadLayers(const Family& family, const ConfigMap& config);

}  // namespace evenkeel::hf
