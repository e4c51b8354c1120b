#include "tools/model_view.h"

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/json_text.h"
#include "config/route_spec.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "google/protobuf/util/json_util.h"
#include "tools/model_layer.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

using hf::CorrectionBias;
using hf::Decoder;
using hf::ExcludedLayer;
using hf::ModelRouting;
using hf::MoeLayer;

// FOR PEOPLE

// As short as it can be and still be this float.
std::string Number(float value) {
  std::string text = absl::StrCat(value);
  float again = 0;
  return absl::SimpleAtof(text, &again) && again == value ? text : absl::StrFormat("%.9g", value);
}

std::string Groups(const v1::RouteSpec& spec) {
  if (!spec.has_num_groups()) return "-";
  return absl::StrCat(spec.top_groups(), " of ", spec.num_groups(), " by ",
                      v1::RouteSpec::GroupScore::Function_Name(spec.group_score()), ", fill ",
                      v1::RouteSpec::DroppedGroupFill::Value_Name(spec.dropped_group_fill()));
}

std::string Normalized(const v1::RouteSpec& spec) {
  if (!spec.normalize()) return "-";
  if (spec.has_normalize_min()) return absl::StrCat("max(sum, ", Number(spec.normalize_min()), ")");
  if (spec.has_normalize_epsilon()) return absl::StrCat("sum + ", Number(spec.normalize_epsilon()));
  return "sum";
}

std::string Scaled(const MoeLayer& layer) {
  std::vector<std::string> words;
  if (layer.spec.scale != 1) words.push_back(Number(layer.spec.scale));
  if (layer.output_scale != 1) words.push_back(absl::StrCat(Number(layer.output_scale), " of the output"));
  if (layer.weights_scale_input) words.push_back("weights on the input");
  return words.empty() ? "-" : absl::StrJoin(words, ", ");
}

std::string Experts(const MoeLayer& layer) {
  const int fixed = layer.spec.num_experts - layer.num_balanced_experts;
  return fixed > 0 ? absl::StrCat(layer.num_balanced_experts, " + ", fixed) : absl::StrCat(layer.spec.num_experts);
}

std::string Heading(const ModelRouting& model, const Decoder& decoder) {
  const std::string outer =
      decoder.config_path.empty() ? "" : absl::StrCat(model.model_type, ", ", decoder.config_path, ": ");
  std::string text = absl::StrCat(outer, decoder.model_type, ", ", decoder.num_layers,
                                  " layers: ", decoder.moe_layers.size(), " with experts");
  if (!decoder.dense_layers.empty()) {
    absl::StrAppend(&text, ", ", decoder.dense_layers.size(), " dense (", Runs(decoder.dense_layers), ")");
  }
  if (!decoder.moe_layers.empty()) {
    absl::StrAppend(&text, decoder.natively_bias_balanced ? "; balanced by a bias of its own"
                                                          : "; without a balancing bias of its own");
  }
  return absl::StrCat(text, "\n");
}

std::string Specs(const std::vector<LayerGroup>& groups) {
  Table table({{"layers", Table::Align::kLeft},
               {"experts"},
               {"top k"},
               {"bias on", Table::Align::kLeft},
               {"weights", Table::Align::kLeft},
               {"groups kept", Table::Align::kLeft},
               {"divided by", Table::Align::kLeft},
               {"scaled by", Table::Align::kLeft}});
  for (const LayerGroup& group : groups) {
    const MoeLayer& layer = *group.front();
    const v1::RouteSpec spec = config::RouteSpecToProto(layer.spec);
    table.AddRow({Runs(Indices(group)), Experts(layer), absl::StrCat(spec.top_k()),
                  v1::RouteSpec::Score::Function_Name(spec.score()),
                  v1::RouteSpec::Weight::Function_Name(spec.weight()), Groups(spec), Normalized(spec), Scaled(layer)});
  }
  return table.Text();
}

// Within a decoder they differ by the layer's index alone.
std::string NamesOfAll(const Decoder& decoder) {
  const MoeLayer& first = decoder.moe_layers.front();
  std::vector<int> indices;
  for (const MoeLayer& layer : decoder.moe_layers) indices.push_back(layer.index);
  const auto of_all = [&](const std::string& name) { return NameOfAll(name, first.index, indices); };
  Table table({{"what", Table::Align::kLeft}, {"name", Table::Align::kLeft}});
  table.AddRow({first.num_streams > 1 ? "routers" : "router", of_all(first.name)});
  if (first.bias.has_value()) {
    for (const std::string& name : first.bias->module_names) table.AddRow({"bias", of_all(name)});
    table.AddRow({"bias in checkpoints", absl::StrCat(of_all(first.bias->checkpoint_name), " [",
                                                      absl::StrJoin(first.bias->checkpoint_shape, ", "), "]")});
  }
  return table.Text();
}

std::string ShowDecoder(const ModelRouting& model, const Decoder& decoder) {
  std::string text = Heading(model, decoder);
  if (!decoder.moe_layers.empty()) {
    absl::StrAppend(&text, Specs(GroupLayers(decoder)), "\n", NamesOfAll(decoder));
  }
  for (const ExcludedLayer& layer : decoder.excluded_layers) {
    absl::StrAppend(&text, "left out: ", layer.name, ": ", layer.reason, "\n");
  }
  for (const std::string& note : decoder.notes) absl::StrAppend(&text, "note: ", note, "\n");
  return text;
}

// FOR PROGRAMS

std::string Whole(int value) { return absl::StrCat(value); }
std::string Bool(bool value) { return value ? "true" : "false"; }

std::string SpecJson(const routing::RouteSpec& spec) {
  google::protobuf::util::JsonPrintOptions print;
  print.preserve_proto_field_names = true;
  std::string text;
  EVENKEEL_CHECK(google::protobuf::util::MessageToJsonString(config::RouteSpecToProto(spec), &text, print).ok());
  return text;
}

std::string BiasJson(const std::optional<CorrectionBias>& bias) {
  if (!bias.has_value()) return "null";
  return absl::StrCat("{\"module_names\": ", JsonList(bias->module_names, JsonString),
                      ", \"checkpoint_name\": ", JsonString(bias->checkpoint_name),
                      ", \"checkpoint_shape\": ", JsonList(bias->checkpoint_shape, Whole), "}");
}

std::string LayerJson(const MoeLayer& layer) {
  return absl::StrCat(
      "\n    {\"index\": ", layer.index, ", \"name\": ", JsonString(layer.name), ", \"spec\": ", SpecJson(layer.spec),
      ", \"num_streams\": ", layer.num_streams, ", \"num_balanced_experts\": ", layer.num_balanced_experts,
      ", \"output_scale\": ", Number(layer.output_scale),
      ", \"weights_scale_input\": ", Bool(layer.weights_scale_input), ", \"bias\": ", BiasJson(layer.bias), "}");
}

std::string ExcludedJson(const ExcludedLayer& layer) {
  return absl::StrCat("{\"index\": ", layer.index, ", \"name\": ", JsonString(layer.name),
                      ", \"reason\": ", JsonString(layer.reason), "}");
}

std::string DecoderJson(const Decoder& decoder) {
  return absl::StrCat("\n  {\"model_type\": ", JsonString(decoder.model_type),
                      ", \"config_path\": ", JsonString(decoder.config_path), ", \"num_layers\": ", decoder.num_layers,
                      ", \"natively_bias_balanced\": ", Bool(decoder.natively_bias_balanced),
                      ",\n   \"moe_layers\": ", JsonList(decoder.moe_layers, LayerJson),
                      ",\n   \"dense_layers\": ", JsonList(decoder.dense_layers, Whole),
                      ",\n   \"excluded_layers\": ", JsonList(decoder.excluded_layers, ExcludedJson),
                      ",\n   \"notes\": ", JsonList(decoder.notes, JsonString), "}");
}

}  // namespace

std::string ShowModel(const ModelRouting& model) {
  std::vector<std::string> decoders;
  for (const Decoder& decoder : model.decoders) decoders.push_back(ShowDecoder(model, decoder));
  return absl::StrJoin(decoders, "\n");
}

std::string ModelJson(const ModelRouting& model) {
  return absl::StrCat("{\"model_type\": ", JsonString(model.model_type),
                      ", \"decoders\": ", JsonList(model.decoders, DecoderJson), "}\n");
}

}  // namespace evenkeel::tools
