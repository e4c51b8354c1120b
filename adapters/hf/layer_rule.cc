#include "adapters/hf/layer_rule.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "adapters/hf/fields.h"
#include "base/status_macros.h"

namespace evenkeel::hf {
namespace {

using Layers = std::vector<LayerKind>;

constexpr int kMaxInt = std::numeric_limits<int>::max();
constexpr int kMaxNameBytes = 64;

Layers AllDense(int num_layers) { return Layers(num_layers, LayerKind::kDense); }

LayerKind MoeIf(bool is_moe) { return is_moe ? LayerKind::kMoe : LayerKind::kDense; }

absl::StatusOr<int> ReadInt(const ConfigMap& config, const Names& field, int otherwise, int min, int max = kMaxInt) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> value, config.Int(field, min, max));
  return value.value_or(otherwise);
}

// A list has an entry for each layer, and perhaps for each layer that predicts further tokens.
absl::Status CheckLength(const ConfigMap& config, const Names& field, size_t size, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const int further, ReadInt(config, kNumPredictLayers, 0, 0, kMaxLayers));
  const size_t layers = num_layers;
  if (size == layers || size == layers + further) return absl::OkStatus();
  return config.Error(field, absl::StrCat(size, " entries for ", num_layers, " layers"));
}

std::optional<LayerKind> KindOf(absl::string_view type) {
  if (type == "dense") return LayerKind::kDense;
  if (type == "sparse" || type == "moe") return LayerKind::kMoe;
  if (type == "hash_moe") return LayerKind::kHash;
  return std::nullopt;
}

absl::StatusOr<Layers> ByTypes(const ConfigMap& config, const std::vector<std::string>& types, int num_layers) {
  EVENKEEL_RETURN_IF_ERROR(CheckLength(config, kMlpLayerTypes, types.size(), num_layers));
  Layers layers;
  for (int i = 0; i < num_layers; ++i) {
    const std::optional<LayerKind> kind = KindOf(types[i]);
    if (!kind.has_value()) {
      return config.Error(kMlpLayerTypes, absl::StrCat("\"", types[i].substr(0, kMaxNameBytes), "\" of layer ", i,
                                                       " is none of dense, sparse, moe, hash_moe"));
    }
    layers.push_back(*kind);
  }
  return layers;
}

absl::StatusOr<Layers> FirstDense(const LayerRule& rule, const ConfigMap& config, int num_layers) {
  constexpr Names kFrequency{"moe_layer_freq"};
  Layers layers;
  int first_dense = rule.first_dense;
  if (!rule.field.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(first_dense, ReadInt(config, rule.field, rule.first_dense, 0));
  }
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_listed, config.IsList(kFrequency));
  if (is_listed) {
    // A family with a field for the first ones has both say so of a layer: configuration_dots3_note.py.
    if (rule.field.empty()) first_dense = 0;
    EVENKEEL_ASSIGN_OR_RETURN(const auto flags, config.Ints(kFrequency, 0, 1));
    EVENKEEL_RETURN_IF_ERROR(CheckLength(config, kFrequency, flags->size(), num_layers));
    for (int i = 0; i < num_layers; ++i) layers.push_back(MoeIf(i >= first_dense && (*flags)[i] != 0));
    return layers;
  }
  EVENKEEL_ASSIGN_OR_RETURN(const int frequency, ReadInt(config, kFrequency, 1, 1));
  for (int i = 0; i < num_layers; ++i) layers.push_back(MoeIf(i >= first_dense && i % frequency == 0));
  return layers;
}

absl::StatusOr<Layers> FirstHash(const ConfigMap& config, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const int first_hash, ReadInt(config, "num_hash_layers", 3, 0));
  Layers layers;
  for (int i = 0; i < num_layers; ++i) layers.push_back(i < first_hash ? LayerKind::kHash : LayerKind::kMoe);
  return layers;
}

absl::StatusOr<Layers> SparseStep(const LayerRule& rule, const ConfigMap& config, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const int step, ReadInt(config, "decoder_sparse_step", 1, 1));
  EVENKEEL_ASSIGN_OR_RETURN(const auto dense, config.Ints("mlp_only_layers", 0, kMaxInt));
  Layers layers;
  const int first_dense = dense.has_value() ? 0 : rule.first_dense;
  for (int i = 0; i < num_layers; ++i) layers.push_back(MoeIf(i >= first_dense && (i + 1) % step == 0));
  for (const int i : dense.value_or(std::vector<int>())) {
    if (i < num_layers) layers[i] = LayerKind::kDense;
  }
  return layers;
}

absl::StatusOr<Layers> Period(const ConfigMap& config, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const int period, ReadInt(config, "expert_layer_period", 2, 1));
  EVENKEEL_ASSIGN_OR_RETURN(const int offset, ReadInt(config, "expert_layer_offset", 1, 0, period - 1));
  Layers layers;
  for (int i = 0; i < num_layers; ++i) layers.push_back(MoeIf(i % period == offset));
  return layers;
}

absl::StatusOr<Layers> Interval(const ConfigMap& config, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const int interval, ReadInt(config, "moe_layer_interval", 1, 1));
  EVENKEEL_ASSIGN_OR_RETURN(const int start, ReadInt(config, "moe_layer_start_index", 1, 0));
  EVENKEEL_ASSIGN_OR_RETURN(const int last, ReadInt(config, "moe_layer_end_index", -1, -1));
  const int end = last == -1 ? num_layers - 1 : last;
  Layers layers;
  for (int i = 0; i < num_layers; ++i) layers.push_back(MoeIf((i + 1) % interval == 0 && i >= start && i <= end));
  return layers;
}

absl::StatusOr<Layers> IndexList(const ConfigMap& config, int num_layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const auto indices, config.Ints("moe_layers", 0, num_layers - 1));
  EVENKEEL_ASSIGN_OR_RETURN(const int step, ReadInt(config, "interleave_moe_layer_step", 1, 1));
  Layers layers = AllDense(num_layers);
  if (indices.has_value()) {
    for (const int i : *indices) layers[i] = LayerKind::kMoe;
  } else {
    for (int i = 0; i < num_layers; ++i) layers[i] = MoeIf((i + 1) % step == 0);
  }
  return layers;
}

// The indices may be a list, too; those past the end are of layers that predict further tokens.
absl::StatusOr<Layers> IndexText(const LayerRule& rule, const ConfigMap& config, int num_layers) {
  constexpr Names kField{"moe_layers_enum"};
  EVENKEEL_ASSIGN_OR_RETURN(const bool is_listed, config.IsList(kField));
  std::vector<int> indices;
  if (is_listed) {
    EVENKEEL_ASSIGN_OR_RETURN(const auto listed, config.Ints(kField, 0, kMaxInt));
    indices = *listed;
  } else {
    EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> text, config.Word(kField));
    if (!text.has_value()) {
      for (int i = rule.first_dense; i < num_layers; ++i) indices.push_back(i);
    }
    for (const absl::string_view word : absl::StrSplit(text.value_or(""), ',', absl::SkipWhitespace())) {
      int index = 0;
      if (!absl::SimpleAtoi(word, &index) || index < 0) {
        return config.Error(kField, absl::StrCat("\"", word.substr(0, kMaxNameBytes), "\" is no layer"));
      }
      indices.push_back(index);
    }
  }
  Layers layers = AllDense(num_layers);
  for (const int i : indices) {
    if (i < num_layers) layers[i] = LayerKind::kMoe;
  }
  return layers;
}

// Mamba, attention, MLP and MoE are layers of their own here, and their list says how many there are.
absl::StatusOr<Layers> BlockTypes(const ConfigMap& config) {
  constexpr Names kTypes{"layers_block_type", "layer_types"};
  constexpr Names kLetters{"hybrid_override_pattern"};
  EVENKEEL_ASSIGN_OR_RETURN(const auto types, config.Words(kTypes));
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<std::string> letters, config.Word(kLetters));
  Layers layers;
  if (types.has_value()) {
    for (const std::string& type : *types) layers.push_back(MoeIf(type == "moe"));
  } else if (letters.has_value()) {
    if (letters->find_first_not_of("ME*-") != std::string::npos) {
      return config.Error(kLetters, "has letters other than M, E, * and -");
    }
    for (const char letter : *letters) layers.push_back(MoeIf(letter == 'E'));
  } else {
    return config.Missing({"layers_block_type", "layer_types", "hybrid_override_pattern"});
  }
  if (layers.empty() || layers.size() > kMaxLayers) {
    return config.Error(types.has_value() ? kTypes : kLetters,
                        absl::StrCat(layers.size(), " layers are not in [1, ", kMaxLayers, "]"));
  }
  return layers;
}

}  // namespace

absl::StatusOr<Layers> ReadLayers(const Family& family, const ConfigMap& config) {
  if (family.layers.kind == LayerRule::Kind::kBlockTypes) return BlockTypes(config);
  const Names field{family.quirks.layers_field};
  EVENKEEL_ASSIGN_OR_RETURN(const std::optional<int> num_layers, config.Int(field, 1, kMaxLayers));
  if (!num_layers.has_value()) return config.Missing(field);
  EVENKEEL_ASSIGN_OR_RETURN(const auto types, config.Words(kMlpLayerTypes));
  if (types.has_value()) return ByTypes(config, *types, *num_layers);
  switch (family.layers.kind) {
    case LayerRule::Kind::kFirstDense:
      return FirstDense(family.layers, config, *num_layers);
    case LayerRule::Kind::kFirstHash:
      return FirstHash(config, *num_layers);
    case LayerRule::Kind::kSparseStep:
      return SparseStep(family.layers, config, *num_layers);
    case LayerRule::Kind::kPeriod:
      return Period(config, *num_layers);
    case LayerRule::Kind::kInterval:
      return Interval(config, *num_layers);
    case LayerRule::Kind::kIndexList:
      return IndexList(config, *num_layers);
    case LayerRule::Kind::kIndexText:
      return IndexText(family.layers, config, *num_layers);
    case LayerRule::Kind::kBlockTypes:
      break;
  }
  return BlockTypes(config);
}

}  // namespace evenkeel::hf
