#include "adapters/hf/model_routing.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "adapters/hf/config_map.h"
#include "adapters/hf/decoder.h"
#include "adapters/hf/family.h"
#include "base/status_macros.h"
#include "config/text_file.h"
#include "config/yaml_document.h"

namespace evenkeel::hf {
namespace {

using config::YamlNode;

constexpr Names kModelType{"model_type"};
constexpr absl::string_view kTopLayers = "model.layers.";
// Of a model of text and more that has no row of its own: where nearly all of them have their text model.
constexpr Wrapper kAnyWrapper = {"", {"text_config"}, "", "model.language_model.layers.", ""};

bool HasName(const Names& names, absl::string_view name) {
  return !name.empty() && std::find(std::begin(names.names), std::end(names.names), name) != std::end(names.names);
}

absl::Status CheckExpressible(const ConfigMap& config, absl::string_view model_type) {
  for (const Refusal& refusal : kRefusals) {
    if (!HasName(refusal.model_types, model_type)) continue;
    const absl::Status error =
        config.Error(kModelType, absl::StrCat("a RouteSpec cannot express ", model_type, ": ", refusal.reason));
    return absl::UnimplementedError(error.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<const Family*> FindFamily(const ConfigMap& config, absl::string_view model_type) {
  EVENKEEL_RETURN_IF_ERROR(CheckExpressible(config, model_type));
  for (const absl::Span<const Family> families : {kBalancedFamilies, kOtherFamilies}) {
    for (const Family& family : families) {
      if (HasName(family.model_types, model_type)) return &family;
    }
  }
  return config.Error(
      kModelType, absl::StrCat(config::Quoted(model_type), " is no family of mixtures of experts that is known here"));
}

// The config at the end of a wrapper's path; nothing where there is none.
absl::StatusOr<std::optional<ConfigMap>> FindInner(const Wrapper& wrapper, const ConfigMap& root) {
  std::optional<ConfigMap> inner = root;
  for (const absl::string_view step : wrapper.path) {
    if (step.empty() || !inner.has_value()) continue;
    EVENKEEL_ASSIGN_OR_RETURN(inner, inner->Map(step));
  }
  return inner;
}

// The wrappers of `model_type`; kAnyWrapper alone where it has none.
std::vector<const Wrapper*> WrappersOf(absl::string_view model_type) {
  std::vector<const Wrapper*> wrappers;
  for (const Wrapper& wrapper : kWrappers) {
    if (wrapper.model_type == model_type) wrappers.push_back(&wrapper);
  }
  if (wrappers.empty()) wrappers.push_back(&kAnyWrapper);
  return wrappers;
}

// The configs to which the wrappers lead; without any, the config itself.
absl::StatusOr<std::vector<DecoderConfig>> FindDecoders(const ConfigMap& root, const std::string& model_type) {
  const std::vector<const Wrapper*> wrappers = WrappersOf(model_type);
  const bool is_any = wrappers.front() == &kAnyWrapper;
  std::vector<DecoderConfig> decoders;
  for (const Wrapper* wrapper : wrappers) {
    // Another name of the config that is found already.
    if (!decoders.empty() && decoders.back().module_layers == wrapper->module_layers) continue;
    EVENKEEL_ASSIGN_OR_RETURN(const std::optional<ConfigMap> inner, FindInner(*wrapper, root));
    if (!inner.has_value()) continue;
    EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> own_type, inner->Word(kModelType));
    if (!own_type.has_value() && is_any) return inner->Missing(kModelType);
    decoders.push_back({*inner, own_type.value_or(std::string(wrapper->inner_model_type)), wrapper->module_layers,
                        wrapper->checkpoint_layers, is_any});
  }
  if (!decoders.empty()) return decoders;
  if (is_any) return std::vector<DecoderConfig>{{root, model_type, kTopLayers, "", false}};
  const Wrapper& first = *wrappers.front();
  if (first.may_be_flat) {
    return std::vector<DecoderConfig>{
        {root, std::string(first.inner_model_type), first.module_layers, first.checkpoint_layers, false}};
  }
  const absl::string_view(&path)[2] = first.path;
  return root.Error(kModelType,
                    absl::StrCat(model_type, " needs ", path[0], path[1].empty() ? "" : ".", path[1], ": missing"));
}

}  // namespace

absl::StatusOr<ModelRouting> ReadModelConfig(absl::string_view json, absl::string_view origin) {
  EVENKEEL_ASSIGN_OR_RETURN(const YamlNode tree, config::ParseYaml(json, origin));
  if (tree.kind != YamlNode::Kind::kMap) return config::ErrorAt(origin, tree.place, "not a JSON object");
  const ConfigMap root(origin, tree, "");
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> model_type, root.Word(kModelType));
  if (!model_type.has_value()) return root.Missing(kModelType);
  EVENKEEL_RETURN_IF_ERROR(CheckExpressible(root, *model_type));
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<DecoderConfig> sources, FindDecoders(root, *model_type));
  ModelRouting model;
  model.model_type = *model_type;
  for (const DecoderConfig& source : sources) {
    EVENKEEL_ASSIGN_OR_RETURN(const Family* family, FindFamily(source.config, source.model_type));
    EVENKEEL_ASSIGN_OR_RETURN(Decoder decoder, ReadDecoder(*family, source));
    model.decoders.push_back(std::move(decoder));
  }
  return model;
}

absl::StatusOr<ModelRouting> ReadModelConfigFile(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string text, config::ReadTextFile(path));
  return ReadModelConfig(text, path);
}

}  // namespace evenkeel::hf
