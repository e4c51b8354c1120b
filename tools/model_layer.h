#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "adapters/hf/model_routing.h"

namespace evenkeel::tools {

// Whether two layers route alike: the same spec, streams, and scales around it.
bool RoutesAlike(const hf::MoeLayer& a, const hf::MoeLayer& b);

// Numbers that ascend: "3-60", "1-31 step 2" where all are evenly spaced, "0, 2, 7-9".
std::string Runs(const std::vector<int>& indices);

// The name of layer `index`, or of one of its tensors, for all of `indices`: "model.layers.{3-60}.mlp.gate".
std::string NameOfAll(absl::string_view name, int index, const std::vector<int>& indices);

// MoE layers that route alike, ascending; there is at least one.
using LayerGroup = std::vector<const hf::MoeLayer*>;

// The decoder's MoE layers, grouped, by their first layers.
std::vector<LayerGroup> GroupLayers(const hf::Decoder& decoder);

std::vector<int> Indices(const LayerGroup& group);

// The layer that `choice` means: its name, or the index of its decoder layer; with "" the first, if all MoE layers of
// the model route alike. Points into `model`. NOT_FOUND for a layer that is not there or is not MoE, INVALID_ARGUMENT
// where more than one is meant; both say which there are.
absl::StatusOr<const hf::MoeLayer*> ChooseLayer(const hf::ModelRouting& model, absl::string_view choice);

}  // namespace evenkeel::tools
