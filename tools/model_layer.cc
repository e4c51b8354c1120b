#include "tools/model_layer.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/route_spec.h"
#include "config/yaml_document.h"

namespace evenkeel::tools {
namespace {

using hf::Decoder;
using hf::ExcludedLayer;
using hf::ModelRouting;
using hf::MoeLayer;

// The step of three or more that are evenly spaced; 0 where they are not.
int StepOf(const std::vector<int>& indices) {
  if (indices.size() < 3) return 0;
  const int step = indices[1] - indices[0];
  for (size_t i = 2; i < indices.size(); ++i) {
    if (indices[i] - indices[i - 1] != step) return 0;
  }
  return step;
}

std::string AllNames(const ModelRouting& model) {
  std::vector<std::string> names;
  for (const Decoder& decoder : model.decoders) {
    for (const LayerGroup& group : GroupLayers(decoder)) {
      names.push_back(NameOfAll(group.front()->name, group.front()->index, Indices(group)));
    }
  }
  return names.empty() ? "there are none" : absl::StrJoin(names, ", ");
}

absl::StatusOr<const MoeLayer*> ChooseAny(const ModelRouting& model) {
  const MoeLayer* first = nullptr;
  for (const Decoder& decoder : model.decoders) {
    for (const MoeLayer& layer : decoder.moe_layers) {
      if (first == nullptr) first = &layer;
      if (!RoutesAlike(*first, layer)) {
        return absl::InvalidArgumentError(
            absl::StrCat("the layers do not route alike, so name one of them: ", AllNames(model)));
      }
    }
  }
  if (first == nullptr) return absl::NotFoundError("the model has no MoE layer");
  return first;
}

absl::Status NotMoe(const ModelRouting& model, absl::string_view choice, int index) {
  for (const Decoder& decoder : model.decoders) {
    for (const ExcludedLayer& layer : decoder.excluded_layers) {
      if (layer.index == index || layer.name == choice) {
        return absl::NotFoundError(absl::StrCat("layer ", choice, " is left out: ", layer.reason));
      }
    }
  }
  return absl::NotFoundError(
      absl::StrCat("layer ", config::Quoted(choice), " is no MoE layer; those are: ", AllNames(model)));
}

}  // namespace

bool RoutesAlike(const MoeLayer& a, const MoeLayer& b) {
  return config::RouteSpecToProto(a.spec).SerializeAsString() == config::RouteSpecToProto(b.spec).SerializeAsString() &&
         a.num_streams == b.num_streams && a.num_balanced_experts == b.num_balanced_experts &&
         a.output_scale == b.output_scale && a.weights_scale_input == b.weights_scale_input;
}

std::string Runs(const std::vector<int>& indices) {
  if (const int step = StepOf(indices); step > 1) {
    return absl::StrCat(indices.front(), "-", indices.back(), " step ", step);
  }
  std::vector<std::string> runs;
  for (size_t begin = 0; begin < indices.size();) {
    size_t end = begin + 1;
    while (end < indices.size() && indices[end] == indices[end - 1] + 1) ++end;
    runs.push_back(end - begin == 1 ? absl::StrCat(indices[begin])
                                    : absl::StrCat(indices[begin], "-", indices[end - 1]));
    begin = end;
  }
  return absl::StrJoin(runs, ", ");
}

std::string NameOfAll(absl::string_view name, int index, const std::vector<int>& indices) {
  if (indices.size() == 1) return std::string(name);
  return absl::StrReplaceAll(name, {{absl::StrCat(".", index, "."), absl::StrCat(".{", Runs(indices), "}.")}});
}

std::vector<LayerGroup> GroupLayers(const Decoder& decoder) {
  std::vector<LayerGroup> groups;
  for (const MoeLayer& layer : decoder.moe_layers) {
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&layer](const LayerGroup& group) { return RoutesAlike(*group.front(), layer); });
    if (group == groups.end()) {
      groups.push_back({&layer});
    } else {
      group->push_back(&layer);
    }
  }
  return groups;
}

std::vector<int> Indices(const LayerGroup& group) {
  std::vector<int> indices;
  for (const MoeLayer* layer : group) indices.push_back(layer->index);
  return indices;
}

absl::StatusOr<const MoeLayer*> ChooseLayer(const ModelRouting& model, absl::string_view choice) {
  if (choice.empty()) return ChooseAny(model);
  int index = -1;
  if (!absl::SimpleAtoi(choice, &index)) index = -1;
  std::vector<const MoeLayer*> chosen;
  for (const Decoder& decoder : model.decoders) {
    for (const MoeLayer& layer : decoder.moe_layers) {
      if (layer.name == choice || layer.index == index) chosen.push_back(&layer);
    }
  }
  if (chosen.size() == 1) return chosen.front();
  if (chosen.empty()) return NotMoe(model, choice, index);
  return absl::InvalidArgumentError(absl::StrCat(
      "there are several layers ", choice, ": ",
      absl::StrJoin(chosen, ", ", [](std::string* out, const MoeLayer* layer) { absl::StrAppend(out, layer->name); })));
}

}  // namespace evenkeel::tools
