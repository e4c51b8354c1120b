#include "client/worker/layer_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "job/layer_table.h"

namespace evenkeel::client {
namespace {

std::string Quoted(absl::string_view name) { return absl::StrCat("layer \"", absl::CHexEscape(name), "\""); }

absl::Status CheckRange(const LayerOptions& layer, absl::string_view field, int value, int max) {
  if (value >= 1 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(layer.name), ": ", field, " is ", value, "; 1 to ", max, " are allowed"));
}

absl::Status CheckAgreement(const LayerOptions& layer, absl::string_view field, int in_route, int in_layer) {
  if (in_route == in_layer) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(layer.name), ": route has ", field, " ", in_route, ", the layer ", in_layer));
}

// The route as a message, its sizes filled in from the layer.
absl::StatusOr<v1::RouteSpec> ParseRoute(const LayerOptions& layer) {
  v1::RouteSpec route;
  route.set_num_experts(layer.num_experts);
  route.set_top_k(layer.top_k);
  v1::RouteSpec given;
  EVENKEEL_RETURN_IF_ERROR(config::ParseText(layer.route, absl::StrCat(Quoted(layer.name), ": route"), &given));
  route.MergeFrom(given);
  EVENKEEL_RETURN_IF_ERROR(CheckAgreement(layer, "num_experts", route.num_experts(), layer.num_experts));
  EVENKEEL_RETURN_IF_ERROR(CheckAgreement(layer, "top_k", route.top_k(), layer.top_k));
  return route;
}

absl::StatusOr<v1::LayerSpec> MakeSpec(const LayerOptions& layer) {
  EVENKEEL_RETURN_IF_ERROR(CheckSizes(layer));
  v1::LayerSpec spec;
  spec.set_name(layer.name);
  spec.set_num_experts(layer.num_experts);
  spec.set_top_k(layer.top_k);
  if (!layer.route.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(*spec.mutable_route(), ParseRoute(layer));
  }
  if (layer.streams > 1) spec.set_streams(layer.streams);
  spec.set_counts_dispatched(layer.counts_dispatched);
  return spec;
}

absl::StatusOr<LayerTable::Layer> MakeLayer(const v1::LayerSpec& spec) {
  LayerTable::Layer layer;
  layer.name = spec.name();
  layer.num_experts = spec.num_experts();
  layer.top_k = spec.top_k();
  layer.streams = job::StreamsOf(spec);
  if (spec.has_route()) {
    const absl::StatusOr<routing::RouteSpec> route = config::RouteSpecFromProto(spec.route());
    if (!route.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(Quoted(spec.name()), ": route: ", route.status().message()));
    }
    layer.route = *route;
  }
  return layer;
}

}  // namespace

absl::Status CheckSizes(const LayerOptions& layer) {
  if (layer.name.empty()) return absl::InvalidArgumentError("a layer's name is empty; it is the layer's identity");
  EVENKEEL_RETURN_IF_ERROR(CheckRange(layer, "num_experts", layer.num_experts, routing::kMaxExperts));
  EVENKEEL_RETURN_IF_ERROR(CheckRange(layer, "top_k", layer.top_k, layer.num_experts));
  return CheckRange(layer, "streams", layer.streams, job::kMaxStreams);
}

void ReportViolations(const LayerTable& layers, absl::Span<const float> of_rows, StepReport* report) {
  for (int i = 0; i < layers.size(); ++i) {
    const absl::Span<const float> of_layer = of_rows.subspan(layers[i].first_row, layers[i].streams);
    report->max_violation[i] = *std::max_element(of_layer.begin(), of_layer.end());
  }
}

std::string Quoted(const LayerTable::Layer& layer) { return Quoted(layer.name); }

absl::Status AtLayer(const LayerTable::Layer& layer, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(Quoted(layer), ": ", status.message()));
}

absl::StatusOr<const routing::RouteSpec*> RouteOf(const LayerTable::Layer& layer) {
  if (layer.route.has_value()) return &*layer.route;
  return absl::FailedPreconditionError(
      absl::StrCat(Quoted(layer), " was joined without a route; count what the trainer routes, with Count"));
}

absl::StatusOr<LayerTable> LayerTable::Make(const std::vector<LayerOptions>& options) {
  if (options.empty()) return absl::InvalidArgumentError("layers is empty; a job has at least one layer");
  LayerTable table;
  std::vector<v1::LayerSpec> specs;
  for (const LayerOptions& option : options) {
    EVENKEEL_ASSIGN_OR_RETURN(v1::LayerSpec spec, MakeSpec(option));
    EVENKEEL_ASSIGN_OR_RETURN(Layer layer, MakeLayer(spec));
    layer.owned = option.owned;
    specs.push_back(std::move(spec));
    table.layers_.push_back(std::move(layer));
  }
  table.protocol_order_.resize(options.size());
  std::iota(table.protocol_order_.begin(), table.protocol_order_.end(), 0);
  std::sort(table.protocol_order_.begin(), table.protocol_order_.end(),
            [&](int a, int b) { return options[a].name < options[b].name; });
  for (const int index : table.protocol_order_) {
    if (!table.specs_.empty() && table.specs_.back().name() == options[index].name) {
      return absl::InvalidArgumentError(absl::StrCat(Quoted(options[index].name), " is given twice"));
    }
    table.specs_.push_back(std::move(specs[index]));
    EVENKEEL_RETURN_IF_ERROR(table.Place(options[index], &table.layers_[index]));
  }
  if (!table.has_initial_bias_) table.initial_bias_.clear();
  if (table.num_owned() == 0) return absl::InvalidArgumentError("layers: none of them is owned");
  return table;
}

absl::Status LayerTable::Place(const LayerOptions& options, Layer* layer) {
  const int experts = layer->streams * layer->num_experts;
  layer->first_row = total_rows_;
  layer->offset = total_experts_;
  total_rows_ += layer->streams;
  total_experts_ += experts;
  if (options.counts_dispatched) {
    layer->dispatched_offset = total_dispatched_;
    total_dispatched_ += experts;
  }
  return AddInitialBias(options);
}

absl::Status LayerTable::AddInitialBias(const LayerOptions& layer) {
  const std::vector<float>& bias = layer.initial_bias;
  has_initial_bias_ = has_initial_bias_ || !bias.empty();
  const size_t values = static_cast<size_t>(layer.streams) * layer.num_experts;
  if (!bias.empty() && bias.size() != values) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(layer.name), ": initial_bias has ", bias.size(),
                                                   " values; streams times num_experts is ", values));
  }
  initial_bias_.insert(initial_bias_.end(), bias.begin(), bias.end());
  initial_bias_.resize(total_experts_);
  return absl::OkStatus();
}

int LayerTable::num_owned() const {
  return static_cast<int>(
      std::count_if(layers_.begin(), layers_.end(), [](const Layer& layer) { return layer.owned; }));
}

}  // namespace evenkeel::client
