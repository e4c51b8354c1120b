#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "adapters/hf/config_map.h"
#include "adapters/hf/family.h"
#include "adapters/hf/model_routing.h"

namespace evenkeel::hf {

// A config that describes one decoder, and where the model around it has the decoder's layers.
struct DecoderConfig {
  ConfigMap config;
  std::string model_type;
  absl::string_view module_layers;
  absl::string_view checkpoint_layers;  // empty: where the family has them
  bool names_are_guessed = false;       // the model around it is not known
};

// The decoder by its family's row. Errors as of ReadModelConfig.
absl::StatusOr<Decoder> ReadDecoder(const Family& family, const DecoderConfig& source);

}  // namespace evenkeel::hf
