#include "tools/model_layer.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using hf::Decoder;
using hf::ModelRouting;
using hf::MoeLayer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

MoeLayer Layer(int index, int top_k, absl::string_view stem = "model.layers.") {
  MoeLayer layer;
  layer.index = index;
  layer.name = absl::StrCat(stem, index, ".mlp.gate");
  layer.spec.num_experts = 8;
  layer.spec.top_k = top_k;
  layer.num_balanced_experts = 8;
  return layer;
}

Decoder Layers(std::vector<MoeLayer> layers) {
  Decoder decoder;
  decoder.moe_layers = std::move(layers);
  return decoder;
}

ModelRouting Model(std::vector<Decoder> decoders) { return {"any", std::move(decoders)}; }

std::string Chosen(const ModelRouting& model, absl::string_view choice) {
  const auto layer = ChooseLayer(model, choice);
  return layer.ok() ? (*layer)->name : layer.status().ToString();
}

TEST(ModelLayerTest, RunsAreShort) {
  EXPECT_EQ(Runs({}), "");
  EXPECT_EQ(Runs({7}), "7");
  EXPECT_EQ(Runs({3, 4}), "3-4");
  EXPECT_EQ(Runs({3, 5}), "3, 5");
  EXPECT_EQ(Runs({3, 4, 5, 6}), "3-6");
  EXPECT_EQ(Runs({1, 3, 5}), "1-5 step 2");
  EXPECT_EQ(Runs({0, 2, 7, 8, 9}), "0, 2, 7-9");
  EXPECT_EQ(Runs({1, 3, 5, 6}), "1, 3, 5-6");
}

TEST(ModelLayerTest, ANameStandsForAll) {
  EXPECT_EQ(NameOfAll("model.layers.3.mlp.gate", 3, {3, 4, 5}), "model.layers.{3-5}.mlp.gate");
  EXPECT_EQ(NameOfAll("model.layers.3.mlp.gate", 3, {3}), "model.layers.3.mlp.gate");
}

TEST(ModelLayerTest, LayersThatRouteAlikeAreGrouped) {
  const Decoder decoder = Layers({Layer(0, 2), Layer(1, 1), Layer(2, 2)});
  const std::vector<LayerGroup> groups = GroupLayers(decoder);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(Indices(groups[0]), ElementsAre(0, 2));
  EXPECT_THAT(Indices(groups[1]), ElementsAre(1));
  EXPECT_THAT(GroupLayers(Decoder()), IsEmpty());
}

TEST(ModelLayerTest, WhatCountsAsAlike) {
  const MoeLayer layer = Layer(0, 2);
  EXPECT_TRUE(RoutesAlike(layer, Layer(5, 2, "other.")));
  MoeLayer scaled = layer;
  scaled.output_scale = 2;
  EXPECT_FALSE(RoutesAlike(layer, scaled));
  MoeLayer streams = layer;
  streams.num_streams = 2;
  EXPECT_FALSE(RoutesAlike(layer, streams));
  MoeLayer normalized = layer;
  normalized.spec.normalize = true;
  EXPECT_FALSE(RoutesAlike(layer, normalized));
  MoeLayer fixed = layer;
  fixed.num_balanced_experts = 7;
  EXPECT_FALSE(RoutesAlike(layer, fixed));
  MoeLayer input = layer;
  input.weights_scale_input = true;
  EXPECT_FALSE(RoutesAlike(layer, input));
}

TEST(ModelLayerTest, WithoutAChoiceAnyWillDoIfAllAreAlike) {
  EXPECT_EQ(Chosen(Model({Layers({Layer(3, 2), Layer(4, 2)})}), ""), "model.layers.3.mlp.gate");
  EXPECT_EQ(Chosen(Model({Layers({Layer(3, 2), Layer(4, 1), Layer(5, 1)})}), ""),
            "INVALID_ARGUMENT: the layers do not route alike, so name one of them: model.layers.3.mlp.gate, "
            "model.layers.{4-5}.mlp.gate");
  EXPECT_EQ(Chosen(Model({Layers({})}), ""), "NOT_FOUND: the model has no MoE layer");
}

TEST(ModelLayerTest, ALayerIsChosenByNameOrIndex) {
  const ModelRouting model = Model({Layers({Layer(3, 2), Layer(4, 1)})});
  EXPECT_EQ(Chosen(model, "4"), "model.layers.4.mlp.gate");
  EXPECT_EQ(Chosen(model, "model.layers.4.mlp.gate"), "model.layers.4.mlp.gate");
  for (const char* choice : {"5", "-1", "model.layers", "99999999999"}) {
    EXPECT_EQ(Chosen(model, choice), absl::StrCat("NOT_FOUND: layer \"", choice,
                                                  "\" is no MoE layer; those are: model.layers.3.mlp.gate, "
                                                  "model.layers.4.mlp.gate"));
  }
  EXPECT_THAT(Chosen(Model({Layers({})}), "5"), HasSubstr("those are: there are none"));
}

TEST(ModelLayerTest, AnIndexOfTwoDecodersIsNoChoice) {
  const ModelRouting model = Model({Layers({Layer(3, 2, "a.")}), Layers({Layer(3, 2, "b.")})});
  EXPECT_EQ(Chosen(model, "3"), "INVALID_ARGUMENT: there are several layers 3: a.3.mlp.gate, b.3.mlp.gate");
  EXPECT_EQ(Chosen(model, "b.3.mlp.gate"), "b.3.mlp.gate");
}

TEST(ModelLayerTest, ALayerThatIsLeftOutSaysWhy) {
  ModelRouting model = Model({Layers({Layer(3, 2)})});
  model.decoders[0].excluded_layers = {{0, "model.layers.0.mlp.gate", "hashed"}};
  for (const char* choice : {"0", "model.layers.0.mlp.gate"}) {
    EXPECT_EQ(Chosen(model, choice), absl::StrCat("NOT_FOUND: layer ", choice, " is left out: hashed"));
  }
}

}  // namespace
}  // namespace evenkeel::tools
