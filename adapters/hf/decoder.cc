#include "adapters/hf/decoder.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "adapters/hf/fields.h"
#include "adapters/hf/layer_rule.h"
#include "adapters/hf/router_rule.h"
#include "base/status_macros.h"

namespace evenkeel::hf {
namespace {

constexpr absl::string_view kHashReason = "its experts are looked up by token id: no bias moves them";

// One number for each layer, of a field that is a number or a list.
absl::StatusOr<std::vector<int>> ReadPerLayer(const ConfigMap& config, const Names& field, size_t num_layers, int min) {
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_list, config.IsList(field));
  if (is_list) {
    EVENKEEL_ASSIGN_OR_RETURN(const auto listed, config.Ints(field, min, routing::kMaxExperts));
    std::vector<int> values = listed.value_or(std::vector<int>());
    if (values.size() == num_layers) return values;
    return config.Error(field, absl::StrCat(values.size(), " entries for ", num_layers, " layers"));
  }
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> value, config.Int(field, min, routing::kMaxExperts));
  if (!value.has_value()) return config.Missing(field);
  return std::vector<int>(num_layers, *value);
}

// How many experts a router has that the field of the experts does not count.
absl::StatusOr<int> ReadUnbalanced(const Quirks& quirks, const ConfigMap& config) {
  if (quirks.skip_class) return 1;
  if (quirks.identity_experts_field.empty()) return 0;
  const Names field{quirks.identity_experts_field};
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> more, config.Int(field, 0, routing::kMaxExperts));
  if (!more.has_value() && !config.Has(quirks.identity_experts_field)) return config.Missing(field);
  return more.value_or(0);
}

absl::Status CheckSizes(const Quirks& quirks, const ConfigMap& config, int layer, int num_experts, int top_k) {
  if (num_experts > routing::kMaxExperts) {
    const absl::string_view field = quirks.identity_experts_field;
    return config.Error(
        field.empty() ? kNumExperts : Names(field),
        absl::StrCat(num_experts, " experts of layer ", layer, " are not in [1, ", routing::kMaxExperts, "]"));
  }
  if (top_k <= num_experts) return absl::OkStatus();
  return config.Error(kTopK, absl::StrCat(top_k, " is more than the ", num_experts, " experts of layer ", layer));
}

// transformers can give single layers a config of their own. What is read here holds for all layers.
absl::Status CheckLayersAlike(const ConfigMap& config) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<ConfigMap> layers, config.Map("per_layer_config"));
  if (!layers.has_value()) return absl::OkStatus();
  for (const absl::string_view layer : layers->Keys()) {
    EVENKEEL_ASSIGN_OR_RETURN(const std::optional<ConfigMap> own, layers->Map(layer));
    if (!own.has_value()) continue;
    for (const Names& field : {kNumExperts, kTopK, kNumGroups, kTopGroups, kNormalize}) {
      for (const absl::string_view name : field.names) {
        if (name.empty() || !own->Has(name)) continue;
        return absl::UnimplementedError(own->Error(name, "a router of one layer's own is not read").message());
      }
    }
  }
  return absl::OkStatus();
}

void SetNames(const Modules& modules, const DecoderConfig& source, bool has_bias, MoeLayer* layer) {
  const std::string prefix = absl::StrCat(source.module_layers, layer->index, ".");
  layer->name = absl::StrCat(prefix, modules.router);
  layer->num_streams = modules.bias[1].empty() ? 1 : 2;
  if (!has_bias) return;
  CorrectionBias& bias = layer->bias.emplace();
  for (const absl::string_view path : modules.bias) {
    if (!path.empty()) bias.module_names.push_back(absl::StrCat(prefix, path));
  }
  const absl::string_view checkpoint_layers =
      source.checkpoint_layers.empty() ? modules.checkpoint_layers : source.checkpoint_layers;
  bias.checkpoint_name = absl::StrCat(checkpoint_layers, layer->index, ".", modules.checkpoint_bias);
  if (modules.checkpoint_rows > 0) bias.checkpoint_shape.push_back(modules.checkpoint_rows);
  bias.checkpoint_shape.push_back(layer->spec.num_experts);
}

absl::Status AddNotes(const Family& family, const DecoderConfig& source, const RouterRule& rule, Decoder* decoder) {
  if (source.names_are_guessed) {
    decoder->notes.push_back("the model around the text_config is not known: names are as in most such models");
  }
  if (!family.note.empty()) decoder->notes.push_back(std::string(family.note));
  if (!rule.note.empty()) decoder->notes.push_back(rule.note);
  EVENKEEL_ASSIGN_OR_RETURN(const auto further, source.config.Int(kNumPredictLayers, 0, kMaxLayers));
  if (further.value_or(0) > 0) {
    decoder->notes.push_back(absl::StrCat("not described: layers that predict further tokens (", *further, ")"));
  }
  return absl::OkStatus();
}

// The layers that have experts: `experts` is how many each has, by the config.
absl::Status AddExpertLayers(const Family& family, const DecoderConfig& source, const std::vector<LayerKind>& kinds,
                             const std::vector<int>& experts, Decoder* decoder) {
  const ConfigMap& config = source.config;
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<int> top_k, ReadPerLayer(config, kTopK, kinds.size(), 1));
  EVENKEEL_ASSIGN_OR_RETURN(const int unbalanced, ReadUnbalanced(family.quirks, config));
  EVENKEEL_ASSIGN_OR_RETURN(const RouterRule rule, ReadRouterRule(family, config));
  EVENKEEL_RETURN_IF_ERROR(CheckLayersAlike(config));
  decoder->natively_bias_balanced = rule.has_bias;
  for (int i = 0; i < decoder->num_layers; ++i) {
    if (kinds[i] == LayerKind::kDense) continue;
    MoeLayer layer;
    layer.index = i;
    EVENKEEL_RETURN_IF_ERROR(CheckSizes(family.quirks, config, i, experts[i] + unbalanced, top_k[i]));
    EVENKEEL_ASSIGN_OR_RETURN(layer.spec, SpecOfSize(rule, config, experts[i] + unbalanced, top_k[i]));
    layer.num_balanced_experts = experts[i];
    layer.output_scale = rule.output_scale;
    layer.weights_scale_input = rule.weights_scale_input;
    SetNames(family.modules, source, rule.has_bias, &layer);
    if (kinds[i] == LayerKind::kHash) {
      decoder->excluded_layers.push_back({i, layer.name, std::string(kHashReason)});
    } else {
      decoder->moe_layers.push_back(std::move(layer));
    }
  }
  return AddNotes(family, source, rule, decoder);
}

}  // namespace

absl::StatusOr<Decoder> ReadDecoder(const Family& family, const DecoderConfig& source) {
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<LayerKind> kinds, ReadLayers(family, source.config));
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<int> experts, ReadPerLayer(source.config, kNumExperts, kinds.size(), 0));
  Decoder decoder;
  decoder.model_type = source.model_type;
  decoder.config_path = std::string(absl::StripSuffix(source.config.path(), "."));
  decoder.num_layers = static_cast<int>(kinds.size());
  // Without experts a layer is dense, whatever the rule says; where the rule is a period, with one, too.
  const int fewest = family.layers.kind == LayerRule::Kind::kPeriod ? 2 : 1;
  for (int i = 0; i < decoder.num_layers; ++i) {
    if (experts[i] < fewest) kinds[i] = LayerKind::kDense;
    if (kinds[i] == LayerKind::kDense) decoder.dense_layers.push_back(i);
  }
  if (static_cast<int>(decoder.dense_layers.size()) == decoder.num_layers) return decoder;
  EVENKEEL_RETURN_IF_ERROR(AddExpertLayers(family, source, kinds, experts, &decoder));
  return decoder;
}

}  // namespace evenkeel::hf
