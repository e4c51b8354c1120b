#include "job/layer_table.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"

namespace evenkeel::job {
namespace {

absl::Status Refuse(absl::string_view name, absl::string_view what) {
  return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                      absl::StrCat("owned_layers: \"", absl::CHexEscape(name), "\" is ", what));
}

}  // namespace

LayerTable::LayerTable(const v1::JobSpec& spec) {
  rows_.reserve(spec.layers_size());
  for (const v1::LayerSpec& layer : spec.layers()) {
    const int streams = StreamsOf(layer);
    for (int stream = 0; stream < streams; ++stream) {
      rows_.push_back({layer.name(), stream, streams, layer.num_experts(), layer.top_k(), total_experts_,
                       layer.counts_dispatched() ? dispatched_experts_ : -1});
      total_experts_ += layer.num_experts();
      if (layer.counts_dispatched()) dispatched_experts_ += layer.num_experts();
    }
  }
}

int LayerTable::Find(absl::string_view layer) const {
  const auto found = std::lower_bound(rows_.begin(), rows_.end(), layer,
                                      [](const Row& row, absl::string_view key) { return row.name < key; });
  return found != rows_.end() && found->name == layer ? static_cast<int>(found - rows_.begin()) : -1;
}

absl::StatusOr<std::vector<int>> LayerTable::IndicesOf(const std::vector<std::string>& layers) const {
  std::vector<int> indices;
  if (layers.empty()) {
    for (int i = 0; i < size(); ++i) indices.push_back(i);
    return indices;
  }
  for (const std::string& layer : layers) {
    const int first = Find(layer);
    if (first < 0) return Refuse(layer, "not a layer of the job");
    for (int stream = 0; stream < rows_[first].streams; ++stream) indices.push_back(first + stream);
  }
  std::sort(indices.begin(), indices.end());
  const auto twice = std::adjacent_find(indices.begin(), indices.end());
  if (twice != indices.end()) return Refuse(rows_[*twice].name, "given twice");
  return indices;
}

std::string Quoted(const LayerTable::Row& row) {
  const std::string layer = absl::StrCat("layer \"", absl::CHexEscape(row.name), "\"");
  return row.streams == 1 ? layer : absl::StrCat(layer, " stream ", row.stream);
}

}  // namespace evenkeel::job
