#include "job/layer_table.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"

namespace evenkeel::job {

LayerTable::LayerTable(const v1::JobSpec& spec) {
  layers_.reserve(spec.layers_size());
  for (const v1::LayerSpec& layer : spec.layers()) {
    layers_.push_back({layer.name(), layer.num_experts(), layer.top_k(), total_experts_});
    total_experts_ += layer.num_experts();
  }
}

int LayerTable::Find(absl::string_view name) const {
  const auto found = std::lower_bound(layers_.begin(), layers_.end(), name,
                                      [](const Layer& layer, absl::string_view key) { return layer.name < key; });
  return found != layers_.end() && found->name == name ? static_cast<int>(found - layers_.begin()) : -1;
}

absl::StatusOr<std::vector<int>> LayerTable::IndicesOf(const std::vector<std::string>& names) const {
  std::vector<int> indices;
  if (names.empty()) {
    for (int i = 0; i < size(); ++i) indices.push_back(i);
    return indices;
  }
  for (const std::string& name : names) {
    const int index = Find(name);
    if (index < 0) {
      return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                          absl::StrCat("owned_layers: \"", absl::CHexEscape(name), "\" is not a layer of the job"));
    }
    indices.push_back(index);
  }
  std::sort(indices.begin(), indices.end());
  const auto twice = std::adjacent_find(indices.begin(), indices.end());
  if (twice != indices.end()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("owned_layers: \"", absl::CHexEscape(layers_[*twice].name), "\" is given twice"));
  }
  return indices;
}

}  // namespace evenkeel::job
