#include "adapters/hf/model_routing.h"

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::hf {
namespace {

using routing::Weight;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::string_view kOlmoe =
    R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 2)";

ModelRouting Read(absl::string_view json) {
  const auto model = ReadModelConfig(json, "c.json");
  EXPECT_TRUE(model.ok()) << model.status();
  return model.value_or(ModelRouting{"", {{}}});
}

Decoder ReadOne(absl::string_view json) {
  const ModelRouting model = Read(json);
  EXPECT_EQ(model.decoders.size(), 1u);
  return model.decoders.front();
}

std::string Error(absl::string_view json, absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const absl::Status status = ReadModelConfig(json, "c.json").status();
  EXPECT_EQ(status.code(), code) << status;
  return std::string(status.message());
}

// kOlmoe with more fields.
std::string With(absl::string_view fields) { return absl::StrCat(kOlmoe, ", ", fields, "}"); }

TEST(ModelRoutingTest, ALayerIsNamedAndHasItsSpec) {
  const Decoder decoder = ReadOne(absl::StrCat(kOlmoe, "}"));
  EXPECT_EQ(decoder.model_type, "olmoe");
  EXPECT_EQ(decoder.config_path, "");
  EXPECT_EQ(decoder.num_layers, 2);
  EXPECT_FALSE(decoder.natively_bias_balanced);
  ASSERT_EQ(decoder.moe_layers.size(), 2u);
  const MoeLayer& layer = decoder.moe_layers[1];
  EXPECT_EQ(layer.index, 1);
  EXPECT_EQ(layer.name, "model.layers.1.mlp.gate");
  EXPECT_EQ(layer.spec.num_experts, 8);
  EXPECT_EQ(layer.spec.top_k, 2);
  EXPECT_EQ(layer.num_balanced_experts, 8);
  EXPECT_FALSE(layer.bias.has_value());
  EXPECT_THAT(decoder.dense_layers, IsEmpty());
  EXPECT_THAT(decoder.notes, IsEmpty());
}

TEST(ModelRoutingTest, WhatIsNotReadMayBeAnything) {
  EXPECT_TRUE(ReadModelConfig(With(R"("time_step_limit": [0.0, Infinity], "a": NaN, "b": -Infinity, "c": {"d": {}},
                                      "torch_dtype": "bfloat16", "num_key_value_heads": "x", "num_experts_x": -1)"),
                              "c.json")
                  .ok());
}

TEST(ModelRoutingTest, TextConfigsAreFoundUnderModelsThatAreNotKnown) {
  const ModelRouting model =
      Read(R"({"model_type": "some_vlm", "num_hidden_layers": 99, "vision_config": {"num_hidden_layers": 24},
               "text_config": {"model_type": "mistral4", "num_hidden_layers": 2, "n_routed_experts": 8,
                               "num_experts_per_tok": 2}})");
  EXPECT_EQ(model.model_type, "some_vlm");
  const Decoder& decoder = model.decoders.front();
  EXPECT_EQ(decoder.model_type, "mistral4");
  EXPECT_EQ(decoder.config_path, "text_config");
  EXPECT_EQ(decoder.num_layers, 2);
  EXPECT_EQ(decoder.moe_layers[0].name, "model.language_model.layers.0.mlp.gate");
  EXPECT_THAT(decoder.notes, ElementsAre(HasSubstr("the model around the text_config is not known")));
}

TEST(ModelRoutingTest, ATextConfigMayLeaveItsTypeToTheModel) {
  const absl::string_view text =
      R"("text_config": {"num_hidden_layers": 2, "num_local_experts": 8, "num_experts_per_tok": 1})";
  EXPECT_EQ(Read(absl::StrCat(R"({"model_type": "llama4", )", text, "}")).decoders[0].model_type, "llama4_text");
  EXPECT_EQ(Error(absl::StrCat(R"({"model_type": "some_vlm", )", text, "}")),
            "c.json:1:43: text_config.model_type: missing");
  EXPECT_EQ(Error(R"({"model_type": "llama4"})"), "c.json:1:16: model_type: llama4 needs text_config: missing");
  EXPECT_EQ(Error(R"({"model_type": "qwen3_omni_moe", "thinker_config": {}})"),
            "c.json:1:16: model_type: qwen3_omni_moe needs thinker_config.text_config: missing");
}

TEST(ModelRoutingTest, SomeModelsMayHaveTheFieldsOfTheirTextConfigThemselves) {
  for (const absl::string_view json :
       {R"({"model_type": "dots3_note", "num_hidden_layers": 2, "n_routed_experts": 8, "num_experts_per_tok": 1})",
        R"({"model_type": "dots3_note",
            "text_config": {"num_hidden_layers": 2, "n_routed_experts": 8, "num_experts_per_tok": 1}})"}) {
    const Decoder decoder = ReadOne(json);
    EXPECT_EQ(decoder.model_type, "dots3_note_text");
    ASSERT_EQ(decoder.moe_layers.size(), 1u);
    EXPECT_EQ(decoder.moe_layers[0].name, "model.language_model.layers.1.mlp.gate");
    EXPECT_EQ(decoder.moe_layers[0].bias->checkpoint_name, "model.layers.1.mlp.gate.e_score_correction_bias");
  }
}

TEST(ModelRoutingTest, ATextConfigMayHaveAnotherName) {
  for (const absl::string_view name : {"text_config", "language_config"}) {
    const Decoder decoder =
        ReadOne(absl::StrCat(R"({"model_type": "unlimited_ocr", ")", name,
                             R"(": {"num_hidden_layers": 2, "n_routed_experts": 8, "num_experts_per_tok": 1}})"));
    EXPECT_EQ(decoder.config_path, name);
    EXPECT_EQ(decoder.moe_layers[0].name, "model.language_model.layers.1.mlp.gate");
  }
  EXPECT_EQ(ReadOne(R"({"model_type": "unlimited_ocr", "language_config": {},
                        "text_config": {"num_hidden_layers": 2, "n_routed_experts": 8, "num_experts_per_tok": 1}})")
                .config_path,
            "text_config");
}

TEST(ModelRoutingTest, ThinkerAndTalkerAreTwoDecoders) {
  const absl::string_view thinker =
      R"("thinker_config": {"text_config": {"num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 2}})";
  const absl::string_view talker =
      R"("talker_config": {"text_config": {"num_hidden_layers": 3, "num_experts": 4, "num_experts_per_tok": 1}})";
  const ModelRouting both = Read(absl::StrCat(R"({"model_type": "qwen3_omni_moe", )", thinker, ", ", talker, "}"));
  ASSERT_EQ(both.decoders.size(), 2u);
  EXPECT_EQ(both.decoders[0].config_path, "thinker_config.text_config");
  EXPECT_EQ(both.decoders[0].moe_layers[0].name, "thinker.model.language_model.layers.0.mlp.gate");
  EXPECT_EQ(both.decoders[0].moe_layers[0].spec.weight, Weight::kSoftmaxOfSelected);
  EXPECT_EQ(both.decoders[1].num_layers, 3);
  EXPECT_EQ(both.decoders[1].moe_layers[0].name, "talker.model.layers.0.mlp.gate");
  EXPECT_EQ(both.decoders[1].moe_layers[0].spec.weight, Weight::kSoftmax) << "the talker's own default";
  EXPECT_EQ(Read(absl::StrCat(R"({"model_type": "qwen3_omni_moe", )", thinker, "}")).decoders.size(), 1u);
  EXPECT_EQ(ReadOne(R"({"model_type": "qwen3_omni_moe_thinker",
                        "text_config": {"num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 2}})")
                .moe_layers[0]
                .name,
            "model.language_model.layers.0.mlp.gate");
}

TEST(ModelRoutingTest, WhatDoesNotNameAKnownFamilyIsRefused) {
  EXPECT_EQ(Error("{}"), "c.json:1:1: model_type: missing");
  EXPECT_EQ(Error(R"({"model_type": 5})"), "c.json:1:16: model_type: \"5\" is not a string");
  EXPECT_EQ(Error(R"({"model_type": "llama"})"),
            "c.json:1:16: model_type: \"llama\" is no family of mixtures of experts that is known here");
  EXPECT_THAT(Error(R"({"model_type": ""})"), HasSubstr("model_type: \"\" is no family"));
  EXPECT_THAT(Error(R"({"model_type": "vlm", "text_config": {"model_type": "llama"}})"),
              HasSubstr("text_config.model_type: \"llama\" is no family"));
  EXPECT_EQ(Error("[]"), "c.json:1:1: not a JSON object");
  EXPECT_EQ(Error("5"), "c.json:1:1: not a JSON object");
  EXPECT_EQ(Error(""), "c.json: empty");
  EXPECT_THAT(Error(R"({"model_type": "olmoe")"), HasSubstr("c.json:1:1: "));
}

TEST(ModelRoutingTest, SizesHaveNoDefaults) {
  EXPECT_EQ(Error(R"({"model_type": "olmoe"})"), "c.json:1:1: num_hidden_layers: missing");
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts_per_tok": 2})"),
              HasSubstr("num_experts: missing (also known as n_routed_experts, "));
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": 8})"),
              HasSubstr("num_experts_per_tok: missing (also known as "));
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": null})"),
              HasSubstr("num_experts: missing"));
  EXPECT_THAT(Error(R"({"model_type": "longcat_flash", "num_layers": 2, "n_routed_experts": 8, "moe_topk": 2})"),
              HasSubstr("zero_expert_num: missing"));
}

TEST(ModelRoutingTest, NumbersAreInRange) {
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 9})"),
              HasSubstr("num_experts_per_tok: 9 is more than the 8 experts of layer 0"));
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": 8, "num_experts_per_tok": 0})"),
              HasSubstr("num_experts_per_tok: 0 is not in [1, 16384]"));
  EXPECT_THAT(Error(R"({"model_type": "olmoe", "num_hidden_layers": 2, "num_experts": 20000})"),
              HasSubstr("num_experts: 20000 is not in [0, 16384]"));
  EXPECT_THAT(Error(R"({"model_type": "longcat_flash", "num_layers": 2, "n_routed_experts": 16384, "moe_topk": 2,
                        "zero_expert_num": 1})"),
              HasSubstr("zero_expert_num: 16385 experts of layer 0 are not in [1, 16384]"));
}

TEST(ModelRoutingTest, NamesOfOneFieldMustAgree) {
  EXPECT_TRUE(ReadModelConfig(With(R"("num_local_experts": 8)"), "c.json").ok());
  EXPECT_THAT(Error(With(R"("num_local_experts": 16)")),
              HasSubstr("num_local_experts: \"16\" differs from num_experts = \"8\""));
}

TEST(ModelRoutingTest, SizesMayDifferByLayer) {
  const Decoder decoder = ReadOne(R"({"model_type": "hunyuan_v1_moe", "num_hidden_layers": 3, "num_experts": [8, 4, 0],
                                      "moe_topk": [2, 1, 1]})");
  ASSERT_EQ(decoder.moe_layers.size(), 2u);
  EXPECT_EQ(decoder.moe_layers[0].spec.num_experts, 8);
  EXPECT_EQ(decoder.moe_layers[0].spec.top_k, 2);
  EXPECT_EQ(decoder.moe_layers[1].spec.num_experts, 4);
  EXPECT_EQ(decoder.moe_layers[1].spec.top_k, 1);
  EXPECT_THAT(decoder.dense_layers, ElementsAre(2));
  EXPECT_THAT(Error(R"({"model_type": "hunyuan_v1_moe", "num_hidden_layers": 3, "num_experts": 8, "moe_topk": [2]})"),
              HasSubstr("moe_topk: 1 entries for 3 layers"));
}

TEST(ModelRoutingTest, WithoutExpertsAModelIsDense) {
  const Decoder dense =
      ReadOne(R"({"model_type": "granitemoehybrid", "num_hidden_layers": 2, "num_local_experts": 0})");
  EXPECT_THAT(dense.moe_layers, IsEmpty());
  EXPECT_THAT(dense.dense_layers, ElementsAre(0, 1));
  const Decoder jamba = ReadOne(R"({"model_type": "jamba", "num_hidden_layers": 2, "num_experts": 1,
                                    "num_experts_per_tok": 1})");
  EXPECT_THAT(jamba.moe_layers, IsEmpty()) << "jamba's layer of one expert is an MLP";
}

TEST(ModelRoutingTest, LayersWithARouterOfTheirOwnAreRefused) {
  EXPECT_TRUE(ReadModelConfig(With(R"("per_layer_config": {"1": {"head_dim": 64}})"), "c.json").ok());
  EXPECT_EQ(Error(With(R"("per_layer_config": {"1": {"num_local_experts": 16}})"), absl::StatusCode::kUnimplemented),
            "c.json:1:141: per_layer_config.1.num_local_experts: a router of one layer's own is not read");
}

TEST(ModelRoutingTest, HashLayersAreLeftOut) {
  const Decoder decoder = ReadOne(R"({"model_type": "deepseek_v4", "num_hidden_layers": 3, "n_routed_experts": 8,
                                      "num_experts_per_tok": 2, "mlp_layer_types": ["hash_moe", "moe", "moe"]})");
  ASSERT_EQ(decoder.excluded_layers.size(), 1u);
  EXPECT_EQ(decoder.excluded_layers[0].index, 0);
  EXPECT_EQ(decoder.excluded_layers[0].name, "model.layers.0.mlp.gate");
  EXPECT_THAT(decoder.excluded_layers[0].reason, HasSubstr("looked up by token id"));
  ASSERT_EQ(decoder.moe_layers.size(), 2u);
  EXPECT_EQ(decoder.moe_layers[0].index, 1);
}

TEST(ModelRoutingTest, TwoRoutersOfALayerAreTwoStreams) {
  const Decoder decoder = ReadOne(R"({"model_type": "ernie4_5_vl_moe", "text_config": {"num_hidden_layers": 2,
                                      "moe_num_experts": 8, "moe_k": 2}})");
  ASSERT_EQ(decoder.moe_layers.size(), 1u);
  EXPECT_EQ(decoder.moe_layers[0].num_streams, 2);
  EXPECT_EQ(decoder.moe_layers[0].bias->module_names.size(), 2u);
  EXPECT_THAT(decoder.moe_layers[0].bias->checkpoint_shape, ElementsAre(2, 8));
}

TEST(ModelRoutingTest, ExpertsThatAreNotBalancedComeLast) {
  const Decoder longcat = ReadOne(R"({"model_type": "longcat_flash", "num_layers": 1, "n_routed_experts": 8,
                                      "zero_expert_num": 4, "moe_topk": 10})");
  EXPECT_EQ(longcat.moe_layers[0].spec.num_experts, 12);
  EXPECT_EQ(longcat.moe_layers[0].num_balanced_experts, 8);
  const Decoder none = ReadOne(R"({"model_type": "longcat_flash", "num_layers": 1, "n_routed_experts": 8,
                                   "zero_expert_num": null, "moe_topk": 2})");
  EXPECT_EQ(none.moe_layers[0].spec.num_experts, 8);
  const Decoder zaya = ReadOne(R"({"model_type": "zaya", "num_hidden_layers": 1, "num_experts": 16,
                                   "num_experts_per_tok": 1})");
  EXPECT_EQ(zaya.moe_layers[0].spec.num_experts, 17);
  EXPECT_EQ(zaya.moe_layers[0].num_balanced_experts, 16);
}

TEST(ModelRoutingTest, ABiasThatIsSwitchedOffIsNotThere) {
  const absl::string_view lfm2 = R"({"model_type": "lfm2_moe", "num_hidden_layers": 3, "num_experts": 8,
                                     "num_experts_per_tok": 2)";
  EXPECT_TRUE(ReadOne(absl::StrCat(lfm2, "}")).natively_bias_balanced);
  const Decoder without = ReadOne(absl::StrCat(lfm2, ", \"use_expert_bias\": false}"));
  EXPECT_FALSE(without.natively_bias_balanced);
  EXPECT_FALSE(without.moe_layers[0].bias.has_value());
}

TEST(ModelRoutingTest, LayersThatPredictFurtherTokensAreNoted) {
  EXPECT_THAT(ReadOne(With(R"("num_nextn_predict_layers": 1)")).notes,
              ElementsAre("not described: layers that predict further tokens (1)"));
  EXPECT_THAT(ReadOne(With(R"("num_nextn_predict_layers": 0)")).notes, IsEmpty());
}

TEST(ModelRoutingTest, FilesAreReadAndNamed) {
  const std::string path = absl::StrCat(testing::TempDir(), "/config.json");
  std::ofstream(path) << kOlmoe << "}";
  EXPECT_TRUE(ReadModelConfigFile(path).ok());
  std::ofstream(path) << "{}";
  EXPECT_EQ(ReadModelConfigFile(path).status().message(), absl::StrCat(path, ":1:1: model_type: missing"));
  std::ofstream(path) << std::string((1 << 20) + 1, ' ');
  EXPECT_THAT(std::string(ReadModelConfigFile(path).status().message()), HasSubstr("are more than the 1048576"));
  EXPECT_EQ(ReadModelConfigFile(path + "x").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace evenkeel::hf
