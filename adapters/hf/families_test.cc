#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "adapters/hf/family.h"
#include "adapters/hf/model_routing.h"
#include "config/route_spec.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "gtest/gtest.h"

// Every family, by a small config of ours that has the figures of a released model where they are known, and else those
// of the configuration class. What is expected of each is in testdata/expected.txt, checked against the families' own
// modules in transformers 5.23: which layers, which spec, which tensors. expected_defaults.txt is the same for configs
// that say nothing but sizes.
namespace evenkeel::hf {
namespace {

constexpr char kFolder[] = "adapters/hf/testdata";

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The configs, by their names without .json.
std::map<std::string, absl::StatusOr<ModelRouting>> ReadAll() {
  std::map<std::string, absl::StatusOr<ModelRouting>> models;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = entry.path().stem();
    models.emplace(name, ReadModelConfig(ReadFile(entry.path()), name));
  }
  return models;
}

// "3-60", or "1-31/2" for every second one, or all of them.
std::string Range(const std::vector<int>& indices) {
  if (indices.size() < 3) return absl::StrJoin(indices, ",");
  const int step = indices[1] - indices[0];
  for (size_t i = 2; i < indices.size(); ++i) {
    if (indices[i] - indices[i - 1] != step) return absl::StrJoin(indices, ",");
  }
  return absl::StrCat(indices.front(), "-", indices.back(), step == 1 ? "" : absl::StrCat("/", step));
}

std::string SpecText(const MoeLayer& layer) {
  const v1::RouteSpec spec = config::RouteSpecToProto(layer.spec);
  std::string text =
      absl::StrCat(spec.top_k(), " of ", spec.num_experts(), " ", v1::RouteSpec::Score::Function_Name(spec.score()),
                   " ", v1::RouteSpec::Weight::Function_Name(spec.weight()));
  if (spec.has_num_groups()) {
    absl::StrAppend(&text, ", groups ", spec.top_groups(), " of ", spec.num_groups(), " ",
                    v1::RouteSpec::GroupScore::Function_Name(spec.group_score()), " ",
                    v1::RouteSpec::DroppedGroupFill::Value_Name(spec.dropped_group_fill()));
  }
  if (spec.normalize()) absl::StrAppend(&text, ", / sum");
  if (spec.has_normalize_epsilon()) absl::StrAppend(&text, " + ", spec.normalize_epsilon());
  if (spec.has_normalize_min()) absl::StrAppend(&text, " at least ", spec.normalize_min());
  if (spec.has_scale()) absl::StrAppend(&text, ", x ", spec.scale());
  if (layer.output_scale != 1) absl::StrAppend(&text, ", output x ", layer.output_scale);
  if (layer.weights_scale_input) absl::StrAppend(&text, ", on the input");
  if (layer.num_balanced_experts != spec.num_experts()) {
    absl::StrAppend(&text, ", ", layer.num_balanced_experts, " balanced");
  }
  return text;
}

// Spec and names of the first MoE layer; all others must route alike, but for what the tests of single rules look at.
std::string DecoderText(const Decoder& decoder) {
  std::vector<int> moe, excluded;
  for (const MoeLayer& layer : decoder.moe_layers) moe.push_back(layer.index);
  for (const ExcludedLayer& layer : decoder.excluded_layers) excluded.push_back(layer.index);
  std::string text = absl::StrCat("  ", decoder.model_type, decoder.config_path.empty() ? "" : " in ",
                                  decoder.config_path, ": ", Range(moe), " of ", decoder.num_layers, " layers",
                                  excluded.empty() ? "" : absl::StrCat(", less ", Range(excluded)), "\n");
  const MoeLayer& first = decoder.moe_layers.front();
  for (const MoeLayer& layer : decoder.moe_layers) EXPECT_EQ(SpecText(layer), SpecText(first));
  absl::StrAppend(&text, "  ", SpecText(first), "\n  ", first.name, "\n");
  if (!first.bias.has_value()) return text;
  for (const std::string& name : first.bias->module_names) absl::StrAppend(&text, "  bias ", name, "\n");
  absl::StrAppend(&text, "  file ", first.bias->checkpoint_name, " [", absl::StrJoin(first.bias->checkpoint_shape, ","),
                  "]\n");
  return text;
}

std::string ModelText(const absl::StatusOr<ModelRouting>& model) {
  if (!model.ok()) {
    EXPECT_EQ(model.status().code(), absl::StatusCode::kUnimplemented) << model.status();
    return absl::StrCat("  ", model.status().message(), "\n");
  }
  std::string text;
  for (const Decoder& decoder : model->decoders) absl::StrAppend(&text, DecoderText(decoder));
  return text;
}

std::vector<std::string> TypesOf(const Names& names) {
  std::vector<std::string> types;
  for (const absl::string_view name : names.names) {
    if (!name.empty()) types.push_back(std::string(name));
  }
  return types;
}

std::vector<std::string> AllFamilies() {
  std::vector<std::string> types;
  for (const absl::Span<const Family> families : {kBalancedFamilies, kOtherFamilies}) {
    for (const Family& family : families) {
      for (std::string& type : TypesOf(family.model_types)) types.push_back(std::move(type));
    }
  }
  return types;
}

// The paragraphs of a file of what is expected, by their first lines.
std::map<std::string, std::string> Expected(const char* file) {
  std::map<std::string, std::string> expected;
  std::istringstream lines(ReadFile(std::filesystem::path(kFolder) / file));
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == ' ') {
      expected[name] += line + "\n";
    } else {
      name = line;
      EXPECT_EQ(expected.count(name), 0u) << name;
      expected[name] = "";
    }
  }
  return expected;
}

TEST(FamiliesTest, EveryConfigGivesWhatIsExpected) {
  std::map<std::string, std::string> expected = Expected("expected.txt");
  for (const auto& [name, model] : ReadAll()) {
    EXPECT_EQ(ModelText(model), expected[name]) << name << " is now\n" << ModelText(model);
    expected.erase(name);
  }
  for (const auto& [name, text] : expected) ADD_FAILURE() << name << ".json is not there";
}

// A config of nothing but sizes: all else is the family's own default.
TEST(FamiliesTest, MissingFieldsHaveTheFamilysDefaults) {
  std::map<std::string, std::string> expected = Expected("expected_defaults.txt");
  for (const std::string& type : AllFamilies()) {
    const std::string text = ModelText(ReadModelConfig(
        absl::StrCat(R"({"model_type": ")", type, R"(", "num_hidden_layers": 12, "num_layers": 12, "num_experts": 64,
                     "num_experts_per_tok": 2, "zero_expert_num": 8, "hybrid_override_pattern": "ME*-E"})"),
        type));
    EXPECT_EQ(text, expected[type]) << type << " is now\n" << text;
    expected.erase(type);
  }
  for (const auto& [type, text] : expected) ADD_FAILURE() << type << " is no family";
}

TEST(FamiliesTest, EveryFamilyHasAConfig) {
  std::set<std::string> there;
  for (const auto& [name, model] : ReadAll()) {
    if (!model.ok()) continue;
    there.insert(model->model_type);
    for (const Decoder& decoder : model->decoders) there.insert(decoder.model_type);
  }
  for (const std::string& type : AllFamilies()) EXPECT_EQ(there.count(type), 1u) << type;
  for (const Wrapper& wrapper : kWrappers) {
    if (wrapper.model_type == "qwen3_omni_moe_thinker") continue;  // as in qwen3_omni_moe
    EXPECT_EQ(there.count(std::string(wrapper.model_type)), 1u) << wrapper.model_type;
  }
}

TEST(FamiliesTest, EveryModelTypeIsThereOnce) {
  std::set<std::string> types;
  for (const std::string& type : AllFamilies()) EXPECT_TRUE(types.insert(type).second) << type;
  for (const Refusal& refusal : kRefusals) {
    for (const std::string& type : TypesOf(refusal.model_types)) EXPECT_TRUE(types.insert(type).second) << type;
  }
}

TEST(FamiliesTest, WhatIsOutsideRouteSpecIsRefusedByNameWithTheReason) {
  for (const Refusal& refusal : kRefusals) {
    for (const std::string& type : TypesOf(refusal.model_types)) {
      for (const std::string& json :
           {absl::StrCat("{\"model_type\": \"", type, "\"}"),
            absl::StrCat("{\"model_type\": \"any_vlm\", \"text_config\": {\"model_type\": \"", type, "\"}}")}) {
        const absl::Status status = ReadModelConfig(json, "c.json").status();
        EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << json;
        EXPECT_NE(status.message().find(absl::StrCat("cannot express ", type, ": ", refusal.reason)), std::string::npos)
            << status;
      }
    }
  }
}

}  // namespace
}  // namespace evenkeel::hf
