#include "adapters/hf/layer_rule.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "adapters/hf/parsed_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::hf {
namespace {

using testing::HasSubstr;
using Kind = LayerRule::Kind;

Family FamilyWith(LayerRule rule) { return {{"any"}, rule, Sigmoid(), NoGroups(), NotNormalized(), NotScaled(), {}}; }

// One letter a layer: dense, moe, hash; or the error.
std::string Layers(LayerRule rule, absl::string_view fields) {
  const ParsedConfig config(absl::StrCat("{\"num_hidden_layers\": 6", fields.empty() ? "" : ", ", fields, "}"));
  const auto layers = ReadLayers(FamilyWith(rule), *config);
  if (!layers.ok()) return std::string(layers.status().message());
  std::string letters;
  for (const LayerKind kind : *layers) letters.push_back("dmh"[static_cast<int>(kind)]);
  return letters;
}

TEST(LayerRuleTest, FirstDense) {
  EXPECT_EQ(Layers(AllLayers(), ""), "mmmmmm");
  EXPECT_EQ(Layers(FirstLayersDense(1), ""), "dmmmmm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 3), ""), "dddmmm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 3), R"("first_k": 0)"), "mmmmmm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 3), R"("first_k": null)"), "dddmmm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 3), R"("first_k": 99)"), "dddddd");
  EXPECT_THAT(Layers(FirstLayersDense("first_k", 3), R"("first_k": -1)"), HasSubstr("first_k: -1 is not in [0, "));
}

TEST(LayerRuleTest, FrequencyIsCountedFromLayer0) {
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 1), R"("moe_layer_freq": 1)"), "dmmmmm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 1), R"("moe_layer_freq": 2)"), "ddmdmd");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 3), R"("moe_layer_freq": 2)"), "ddddmd");
  EXPECT_THAT(Layers(AllLayers(), R"("moe_layer_freq": 0)"), HasSubstr("moe_layer_freq: 0 is not in [1, "));
}

TEST(LayerRuleTest, FrequencyMayListTheLayers) {
  EXPECT_EQ(Layers(FirstLayersDense(1), R"("moe_layer_freq": [0, 0, 1, 1, 0, 1])"), "ddmmdm");
  EXPECT_EQ(Layers(FirstLayersDense(1), R"("moe_layer_freq": [1, 0, 1, 1, 0, 1])"), "mdmmdm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 1), R"("moe_layer_freq": [1, 0, 1, 1, 0, 1])"), "ddmmdm");
  EXPECT_EQ(Layers(FirstLayersDense("first_k", 1), R"("first_k": 3, "moe_layer_freq": [1, 0, 1, 1, 0, 1])"), "dddmdm");
  EXPECT_THAT(Layers(AllLayers(), R"("moe_layer_freq": [0, 1])"), HasSubstr("moe_layer_freq: 2 entries for 6 layers"));
  EXPECT_THAT(Layers(AllLayers(), R"("moe_layer_freq": [0, 1, 2, 0, 0, 0])"), HasSubstr("2 is not in [0, 1]"));
}

TEST(LayerRuleTest, FirstHash) {
  EXPECT_EQ(Layers(LayersBy(Kind::kFirstHash), ""), "hhhmmm");
  EXPECT_EQ(Layers(LayersBy(Kind::kFirstHash), R"("num_hash_layers": 1)"), "hmmmmm");
}

TEST(LayerRuleTest, SparseStep) {
  const LayerRule rule = LayersBy(Kind::kSparseStep);
  EXPECT_EQ(Layers(rule, ""), "mmmmmm");
  EXPECT_EQ(Layers(rule, R"("decoder_sparse_step": 2)"), "dmdmdm");
  EXPECT_EQ(Layers(rule, R"("decoder_sparse_step": 3)"), "ddmddm");
  EXPECT_EQ(Layers(rule, R"("decoder_sparse_step": 2, "mlp_only_layers": [1, 2, 99])"), "dddmdm");
  EXPECT_EQ(Layers(LayersBy(Kind::kSparseStep, 2), ""), "ddmmmm");
  EXPECT_EQ(Layers(LayersBy(Kind::kSparseStep, 2), R"("mlp_only_layers": [5])"), "mmmmmd");
  EXPECT_THAT(Layers(rule, R"("decoder_sparse_step": 0)"), HasSubstr("decoder_sparse_step: 0 is not in [1, "));
}

TEST(LayerRuleTest, Period) {
  const LayerRule rule = LayersBy(Kind::kPeriod);
  EXPECT_EQ(Layers(rule, ""), "dmdmdm");
  EXPECT_EQ(Layers(rule, R"("expert_layer_period": 4, "expert_layer_offset": 2)"), "ddmddd");
  EXPECT_THAT(Layers(rule, R"("expert_layer_period": 2, "expert_layer_offset": 2)"),
              HasSubstr("expert_layer_offset: 2 is not in [0, 1]"));
  EXPECT_THAT(Layers(rule, R"("expert_layer_period": 0)"), HasSubstr("expert_layer_period: 0 is not in [1, "));
}

TEST(LayerRuleTest, Interval) {
  const LayerRule rule = LayersBy(Kind::kInterval);
  EXPECT_EQ(Layers(rule, ""), "dmmmmm");
  EXPECT_EQ(Layers(rule, R"("moe_layer_start_index": 2, "moe_layer_end_index": 4)"), "ddmmmd");
  EXPECT_EQ(Layers(rule, R"("moe_layer_interval": 2, "moe_layer_end_index": -1)"), "dmdmdm");
  EXPECT_THAT(Layers(rule, R"("moe_layer_end_index": -2)"), HasSubstr("moe_layer_end_index: -2 is not in [-1, "));
}

TEST(LayerRuleTest, IndexList) {
  const LayerRule rule = LayersBy(Kind::kIndexList);
  EXPECT_EQ(Layers(rule, ""), "mmmmmm");
  EXPECT_EQ(Layers(rule, R"("interleave_moe_layer_step": 2)"), "dmdmdm");
  EXPECT_EQ(Layers(rule, R"("interleave_moe_layer_step": 2, "moe_layers": [0, 5])"), "mddddm");
  EXPECT_EQ(Layers(rule, R"("moe_layers": [])"), "dddddd");
  EXPECT_THAT(Layers(rule, R"("moe_layers": [6])"), HasSubstr("moe_layers: 6 is not in [0, 5]"));
}

TEST(LayerRuleTest, IndexText) {
  const LayerRule rule = LayersBy(Kind::kIndexText, 3);
  EXPECT_EQ(Layers(rule, ""), "dddmmm");
  EXPECT_EQ(Layers(rule, R"("moe_layers_enum": "1, 2,5")"), "dmmddm");
  EXPECT_EQ(Layers(rule, R"("moe_layers_enum": "")"), "dddddd");
  EXPECT_EQ(Layers(rule, R"("moe_layers_enum": [4, 7])"), "ddddmd");
  EXPECT_THAT(Layers(rule, R"("moe_layers_enum": "1,x")"), HasSubstr("moe_layers_enum: \"x\" is no layer"));
  EXPECT_THAT(Layers(rule, R"("moe_layers_enum": "-1")"), HasSubstr("moe_layers_enum: \"-1\" is no layer"));
}

TEST(LayerRuleTest, BlockTypesSayHowManyLayersThereAre) {
  const LayerRule rule = LayersBy(Kind::kBlockTypes);
  EXPECT_EQ(Layers(rule, R"("layers_block_type": ["mamba", "moe", "full_attention"])"), "dmd");
  EXPECT_EQ(Layers(rule, R"("layer_types": ["moe", "mlp"])"), "md");
  EXPECT_EQ(Layers(rule, R"("hybrid_override_pattern": "ME*-E")"), "dmddm");
  EXPECT_EQ(Layers(rule, R"("layers_block_type": ["moe"], "hybrid_override_pattern": "M")"), "m");
  EXPECT_THAT(Layers(rule, R"("hybrid_override_pattern": "MEx")"), HasSubstr("has letters other than M, E, * and -"));
  EXPECT_THAT(Layers(rule, R"("hybrid_override_pattern": "")"), HasSubstr("0 layers are not in [1, "));
  EXPECT_THAT(Layers(rule, ""), HasSubstr("layers_block_type: missing (also known as layer_types, "));
}

TEST(LayerRuleTest, MlpLayerTypesAreTheNormalForm) {
  const absl::string_view types = R"("mlp_layer_types": ["hash_moe", "dense", "sparse", "moe", "dense", "sparse"])";
  for (const Kind kind : {Kind::kFirstDense, Kind::kSparseStep, Kind::kPeriod, Kind::kInterval, Kind::kIndexList,
                          Kind::kIndexText, Kind::kFirstHash}) {
    EXPECT_EQ(Layers(LayersBy(kind), types), "hdmmdm");
  }
  EXPECT_THAT(Layers(AllLayers(), R"("mlp_layer_types": ["dense"])"),
              HasSubstr("mlp_layer_types: 1 entries for 6 layers"));
  EXPECT_THAT(Layers(AllLayers(), R"("mlp_layer_types": ["a", "dense", "dense", "dense", "dense", "dense"])"),
              HasSubstr("\"a\" of layer 0 is none of dense, sparse, moe, hash_moe"));
}

TEST(LayerRuleTest, ListsMayGoOnForLayersThatPredictFurtherTokens) {
  const absl::string_view types = R"("mlp_layer_types": ["dense", "moe", "moe", "moe", "moe", "moe", "moe"])";
  EXPECT_EQ(Layers(AllLayers(), absl::StrCat(R"("num_nextn_predict_layers": 1, )", types)), "dmmmmm");
  EXPECT_THAT(Layers(AllLayers(), absl::StrCat(R"("num_nextn_predict_layers": 2, )", types)),
              HasSubstr("7 entries for 6 layers"));
}

TEST(LayerRuleTest, TheNumberOfLayersIsRequired) {
  const ParsedConfig empty("{}");
  EXPECT_EQ(ReadLayers(FamilyWith(AllLayers()), *empty).status().message(), "c.json:1:1: num_hidden_layers: missing");
  Family family = FamilyWith(AllLayers());
  family.quirks.layers_field = "num_layers";
  EXPECT_EQ(ReadLayers(family, *empty).status().message(), "c.json:1:1: num_layers: missing");
  for (const char* text : {"0", "-1", "4097", "2000000000"}) {
    const ParsedConfig config(absl::StrCat("{\"num_hidden_layers\": ", text, "}"));
    EXPECT_EQ(ReadLayers(FamilyWith(AllLayers()), *config).status().message(),
              absl::StrCat("c.json:1:23: num_hidden_layers: ", text, " is not in [1, 4096]"));
  }
}

}  // namespace
}  // namespace evenkeel::hf
