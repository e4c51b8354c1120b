#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "adapters/checkpoint/bias_names.h"
#include "evenkeel/v1/job.pb.h"
#include "tools/safetensors/safetensors_set.h"

// Which tensors hold the biases of a job's layers: by the flags --scheme, --names and --model of export and import.
namespace evenkeel::tools {

struct NamingOptions {
  std::string scheme;  // of adapters/checkpoint/bias_names.h
  std::string names;   // a pattern with {} for a layer's number
  std::string model;   // a Hugging Face config.json

  bool any() const { return !scheme.empty() || !names.empty() || !model.empty(); }
};

// INVALID_ARGUMENT, naming the flag, for an unknown scheme, and unless one of them is given.
absl::Status CheckNaming(const NamingOptions& naming);

// "scheme megatron", "config.json".
std::string NamingText(const NamingOptions& naming);

// The tensors of one layer, all streams.
struct BiasTensor {
  checkpoint::TensorNames names;
  std::vector<int64_t> shape;
};

// What to write, in the order of the spec's layers. Shapes are [experts], or [streams, experts] where there are
// several; of a model, those of its checkpoints. INVALID_ARGUMENT, naming the layer, where the naming does not say.
absl::StatusOr<std::vector<BiasTensor>> TensorsToWrite(const NamingOptions& naming, const v1::JobSpec& spec);

struct TensorsFound {
  std::vector<checkpoint::TensorNames> names;  // in the order of the spec's layers; all are there
  std::vector<std::string> left_over;          // as in checkpoint::FoundNames
};

// What to read. NOT_FOUND, naming layer and path, where `tensors` have none; INVALID_ARGUMENT where the naming leaves
// several, does not say, or the shape is not that of the layer: as above, or [1, experts].
absl::StatusOr<TensorsFound> TensorsToRead(const NamingOptions& naming, const v1::JobSpec& spec,
                                           const SafetensorsSet& tensors);

}  // namespace evenkeel::tools
