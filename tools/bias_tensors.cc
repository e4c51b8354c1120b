#include "tools/bias_tensors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "adapters/hf/model_routing.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

using checkpoint::TensorNames;

template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

absl::Status InLayer(const v1::LayerSpec& layer, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("layer ", QuotedName(layer.name()), ": ", status.message()));
}

std::vector<std::string> LayerNames(const v1::JobSpec& spec) {
  std::vector<std::string> names;
  for (const v1::LayerSpec& layer : spec.layers()) names.push_back(layer.name());
  return names;
}

std::vector<int64_t> ShapeOf(const v1::LayerSpec& layer) {
  if (layer.streams() > 1) return {layer.streams(), layer.num_experts()};
  return {layer.num_experts()};
}

absl::Status CheckShape(const v1::LayerSpec& layer, const SafetensorsTensor& tensor) {
  const std::vector<int64_t> wanted = ShapeOf(layer);
  const std::vector<int64_t> one_row = {1, layer.num_experts()};
  if (tensor.shape == wanted || (layer.streams() <= 1 && tensor.shape == one_row)) return absl::OkStatus();
  return InLayer(layer, Invalid("tensor ", QuotedName(tensor.name), " has the shape ",
                                SafetensorsShapeText(tensor.shape), ", the layer ", SafetensorsShapeText(wanted)));
}

// What a model calls a job's layers, which have the names of its routers, or their numbers.
class ModelNames {
 public:
  static absl::StatusOr<ModelNames> Read(const std::string& path) {
    EVENKEEL_ASSIGN_OR_RETURN(hf::ModelRouting model, hf::ReadModelConfigFile(path));
    return ModelNames(path, std::move(model));
  }

  absl::StatusOr<hf::CorrectionBias> BiasOf(const v1::LayerSpec& spec) const {
    EVENKEEL_ASSIGN_OR_RETURN(const hf::MoeLayer* layer, Find(spec.name()));
    if (!layer->bias.has_value()) {
      return Invalid(path_, " is of ", model_.model_type,
                     ", a family without a bias of its own; name the tensors by "
                     "--names or --scheme");
    }
    if (layer->spec.num_experts == spec.num_experts()) return *layer->bias;
    return Invalid("the job has ", spec.num_experts(), " experts, ", layer->name, " of ", path_, " ",
                   layer->spec.num_experts);
  }

 private:
  ModelNames(std::string path, hf::ModelRouting model) : path_(std::move(path)), model_(std::move(model)) {}

  absl::StatusOr<const hf::MoeLayer*> Find(const std::string& name) const {
    for (const hf::Decoder& decoder : model_.decoders) {
      for (const hf::MoeLayer& layer : decoder.moe_layers) {
        if (layer.name == name) return &layer;
      }
    }
    if (model_.decoders.size() > 1) return Invalid("it is no router of ", path_, ", which has several decoders");
    EVENKEEL_ASSIGN_OR_RETURN(const int64_t number, checkpoint::LayerNumber(name));
    for (const hf::MoeLayer& layer : model_.decoders.front().moe_layers) {
      if (layer.index == number) return &layer;
    }
    return Invalid("layer ", number, " of ", path_, " has no experts");
  }

  std::string path_;
  hf::ModelRouting model_;
};

absl::StatusOr<std::vector<hf::CorrectionBias>> ModelBiases(const std::string& path, const v1::JobSpec& spec) {
  EVENKEEL_ASSIGN_OR_RETURN(const ModelNames model, ModelNames::Read(path));
  std::vector<hf::CorrectionBias> biases;
  for (const v1::LayerSpec& layer : spec.layers()) {
    absl::StatusOr<hf::CorrectionBias> bias = model.BiasOf(layer);
    if (!bias.ok()) return InLayer(layer, bias.status());
    biases.push_back(*std::move(bias));
  }
  return biases;
}

// The names that a pattern or a model gives: those in checkpoints, or else those in the model, if all are there.
absl::StatusOr<std::vector<TensorNames>> ExactNames(const NamingOptions& naming, const v1::JobSpec& spec,
                                                    const SafetensorsSet& tensors) {
  if (naming.model.empty()) return checkpoint::NamesByPattern(naming.names, LayerNames(spec));
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<hf::CorrectionBias> biases, ModelBiases(naming.model, spec));
  std::vector<TensorNames> names;
  for (const hf::CorrectionBias& bias : biases) {
    const std::string& module_name = bias.module_names.front();
    const bool is_of_model =
        bias.module_names.size() == 1 && !tensors.Has(bias.checkpoint_name) && tensors.Has(module_name);
    names.push_back({is_of_model ? module_name : bias.checkpoint_name, ""});
  }
  return names;
}

}  // namespace

absl::Status CheckNaming(const NamingOptions& naming) {
  const int given = !naming.scheme.empty() + !naming.names.empty() + !naming.model.empty();
  if (given != 1) return Invalid("give one of --scheme, --names and --model");
  if (naming.scheme.empty()) return absl::OkStatus();
  const absl::Status status = checkpoint::FindScheme(naming.scheme).status();
  return status.ok() ? status : Invalid("--scheme: ", status.message());
}

std::string NamingText(const NamingOptions& naming) {
  if (!naming.scheme.empty()) return absl::StrCat("scheme ", naming.scheme);
  return naming.names.empty() ? naming.model : naming.names;
}

absl::StatusOr<std::vector<BiasTensor>> TensorsToWrite(const NamingOptions& naming, const v1::JobSpec& spec) {
  std::vector<BiasTensor> tensors;
  if (!naming.model.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(const std::vector<hf::CorrectionBias> biases, ModelBiases(naming.model, spec));
    for (const hf::CorrectionBias& bias : biases) {
      tensors.push_back({{bias.checkpoint_name, ""}, {bias.checkpoint_shape.begin(), bias.checkpoint_shape.end()}});
    }
    for (int i = 0; i < spec.layers_size(); ++i) {
      int64_t entries = 1;
      for (const int64_t dimension : tensors[i].shape) entries *= dimension;
      const int64_t wanted = int64_t{std::max(spec.layers(i).streams(), 1)} * spec.layers(i).num_experts();
      if (entries == wanted) continue;
      return InLayer(spec.layers(i), Invalid("it has the shape ", SafetensorsShapeText(ShapeOf(spec.layers(i))),
                                             ", that of ", naming.model, " ", SafetensorsShapeText(tensors[i].shape)));
    }
    return tensors;
  }
  std::vector<TensorNames> names;
  if (naming.scheme.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(names, checkpoint::NamesByPattern(naming.names, LayerNames(spec)));
  } else {
    EVENKEEL_ASSIGN_OR_RETURN(const checkpoint::Scheme scheme, checkpoint::FindScheme(naming.scheme));
    EVENKEEL_ASSIGN_OR_RETURN(names, checkpoint::NamesToWrite(scheme, LayerNames(spec)));
  }
  for (int i = 0; i < spec.layers_size(); ++i) tensors.push_back({std::move(names[i]), ShapeOf(spec.layers(i))});
  return tensors;
}

absl::StatusOr<TensorsFound> TensorsToRead(const NamingOptions& naming, const v1::JobSpec& spec,
                                           const SafetensorsSet& tensors) {
  TensorsFound found;
  if (naming.scheme.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(found.names, ExactNames(naming, spec, tensors));
  } else {
    EVENKEEL_ASSIGN_OR_RETURN(const checkpoint::Scheme scheme, checkpoint::FindScheme(naming.scheme));
    absl::StatusOr<checkpoint::FoundNames> by_scheme = checkpoint::FindNames(scheme, LayerNames(spec), tensors.Names());
    if (!by_scheme.ok()) {
      return absl::Status(by_scheme.status().code(), absl::StrCat(tensors.path(), ": ", by_scheme.status().message()));
    }
    found = {std::move(by_scheme->names), std::move(by_scheme->left_over)};
  }
  for (int i = 0; i < spec.layers_size(); ++i) {
    const v1::LayerSpec& layer = spec.layers(i);
    const TensorNames& names = found.names[i];
    if (!tensors.Has(names.bias)) {
      return InLayer(
          layer, absl::NotFoundError(absl::StrCat("tensor ", QuotedName(names.bias), " is not in ", tensors.path())));
    }
    EVENKEEL_RETURN_IF_ERROR(CheckShape(layer, tensors.Tensor(names.bias)));
    if (!names.ema.empty()) EVENKEEL_RETURN_IF_ERROR(CheckShape(layer, tensors.Tensor(names.ema)));
  }
  return found;
}

}  // namespace evenkeel::tools
