#include "adapters/checkpoint/bias_names.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "adapters/hf/family.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::checkpoint {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Biases(const std::vector<TensorNames>& names) {
  std::vector<std::string> biases;
  for (const TensorNames& name : names) biases.push_back(name.bias);
  return biases;
}

Scheme Named(const std::string& name) { return *FindScheme(name); }

const std::vector<std::string> kLayers = {"model.layers.3.mlp.gate", "model.layers.12.mlp.gate"};

TEST(BiasNamesTest, EverySchemeWritesItsOwnNames) {
  const auto written = [](const std::string& scheme) { return Biases(*NamesToWrite(Named(scheme), kLayers)); };
  EXPECT_THAT(written("hf"), ElementsAre("model.layers.3.mlp.gate.e_score_correction_bias",
                                         "model.layers.12.mlp.gate.e_score_correction_bias"));
  EXPECT_THAT(written("megatron"),
              ElementsAre("decoder.layers.3.mlp.router.expert_bias", "decoder.layers.12.mlp.router.expert_bias"));
  EXPECT_THAT(written("torchtitan"), ElementsAre("layers.3.moe.expert_bias_E", "layers.12.moe.expert_bias_E"));
  EXPECT_THAT(written("olmo"), ElementsAre("blocks.3.feed_forward_moe.router.score_bias",
                                           "blocks.12.feed_forward_moe.router.score_bias"));
  EXPECT_THAT(written("hyper_parallel"),
              ElementsAre("model.layers.3.moe.expert_bias", "model.layers.12.moe.expert_bias"));
  EXPECT_THAT(written("axolotl"), ElementsAre("model.layers.3.mlp._afb_bias", "model.layers.12.mlp._afb_bias"));
  EXPECT_EQ(NamesToWrite(Named("axolotl"), kLayers)->back().ema, "model.layers.12.mlp._afb_ema");
  EXPECT_EQ(NamesToWrite(Named("hf"), kLayers)->back().ema, "");
}

TEST(BiasNamesTest, WhatASchemeWritesItFinds) {
  for (const Scheme& scheme : Schemes()) {
    const std::vector<TensorNames> written = *NamesToWrite(scheme, kLayers);
    std::vector<std::string> tensors = {"model.embed_tokens.weight", "decoder.layers.3.mlp.router.weight"};
    for (const TensorNames& names : written) {
      tensors.push_back(names.bias);
      if (!names.ema.empty()) tensors.push_back(names.ema);
    }
    const absl::StatusOr<FoundNames> found = FindNames(scheme, kLayers, tensors);
    ASSERT_TRUE(found.ok()) << scheme.name << ": " << found.status();
    EXPECT_EQ(Biases(found->names), Biases(written));
    for (size_t i = 0; i < written.size(); ++i) EXPECT_EQ(found->names[i].ema, written[i].ema);
    EXPECT_THAT(found->left_over, IsEmpty());
  }
}

TEST(BiasNamesTest, EverySpellingIsRead) {
  for (const Scheme& scheme : Schemes()) {
    for (const Spelling& spelling : scheme.spellings) {
      for (const std::string before : {"", "layers.", "module.language_model.model.layers."}) {
        const std::string tensor = absl::StrCat(before, 7, ".", spelling.bias);
        const absl::StatusOr<FoundNames> found = FindNames(scheme, {"decoder.layers.7.mlp.router"}, {tensor});
        ASSERT_TRUE(found.ok()) << found.status();
        EXPECT_THAT(Biases(found->names), ElementsAre(tensor));
        EXPECT_EQ(found->names[0].ema, "");  // it is not there
      }
    }
  }
}

// The table of model families and this one say the same.
TEST(BiasNamesTest, HuggingFaceSpellingsAreThoseOfTheFamilies) {
  std::set<std::string> spellings;
  for (const Spelling& spelling : Named("hf").spellings) spellings.insert(std::string(spelling.bias));
  int checked = 0;
  for (const hf::Family& family : hf::kBalancedFamilies) {
    const hf::Modules& modules = family.modules;
    EXPECT_EQ(spellings.count(std::string(modules.checkpoint_bias)), 1u) << modules.checkpoint_bias;
    // A layer of two routers has two tensors in the model, and one in checkpoints.
    const bool has_one_router = modules.bias[1].empty();
    EXPECT_EQ(spellings.count(std::string(modules.bias[0])), has_one_router ? 1u : 0u) << modules.bias[0];
    ++checked;
  }
  EXPECT_GT(checked, 30);
}

TEST(BiasNamesTest, TheEmaIsFoundBesideItsBias) {
  const std::vector<std::string> tensors = {
      "model.layers.3.block_sparse_moe._afb_ema", "model.layers.3.block_sparse_moe._afb_bias",
      "model.layers.12.block_sparse_moe._afb_bias", "model.layers.12.mlp._afb_ema"};
  const absl::StatusOr<FoundNames> found = FindNames(Named("axolotl"), kLayers, tensors);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->names[0].ema, "model.layers.3.block_sparse_moe._afb_ema");
  EXPECT_EQ(found->names[1].ema, "");
}

TEST(BiasNamesTest, OfSeveralTheOneWithTheLayersOwnPathIsMeant) {
  const std::vector<std::string> layers = {"talker.model.layers.3.mlp.gate", "thinker.model.layers.3.mlp.gate"};
  const std::vector<std::string> tensors = {"thinker.model.layers.3.mlp.gate.e_score_correction_bias",
                                            "talker.model.layers.3.mlp.gate.e_score_correction_bias",
                                            "mtp.layers.3.mlp.gate.e_score_correction_bias"};
  const absl::StatusOr<FoundNames> found = FindNames(Named("hf"), layers, tensors);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(Biases(found->names), ElementsAre(tensors[1], tensors[0]));
  EXPECT_THAT(found->left_over, ElementsAre(tensors[2]));

  // Written, both would be one tensor.
  const absl::Status refused = NamesToWrite(Named("hf"), layers).status();
  EXPECT_THAT(refused.message(), AllOf(HasSubstr(layers[0]), HasSubstr(layers[1]), HasSubstr("would both be")));
}

TEST(BiasNamesTest, AmbiguityAndMissingLayersAreErrorsThatNameThem) {
  const auto error = [](const std::vector<std::string>& layers, const std::vector<std::string>& tensors) {
    return FindNames(Named("hf"), layers, tensors).status();
  };
  const std::string gate = "model.layers.3.mlp.gate.e_score_correction_bias";
  const absl::Status several = error({"model.layers.3.mlp.gate"}, {gate, "model.layers.3.mlp.gate.bias"});
  EXPECT_EQ(several.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(several.message(), AllOf(HasSubstr("layer \"model.layers.3.mlp.gate\""), HasSubstr(gate),
                                       HasSubstr("\"model.layers.3.mlp.gate.bias\"")));
  const absl::Status missing = error(kLayers, {gate, "model.layers.2.mlp.gate.e_score_correction_bias"});
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("layer \"model.layers.12.mlp.gate\""));
  EXPECT_THAT(error({"router"}, {gate}).message(), HasSubstr("layer \"router\": its name has no number"));
  EXPECT_THAT(error({"stages.1.layers.3.gate"}, {gate}).message(), HasSubstr("has several numbers"));
  EXPECT_THAT(error({"layers.99999999999999999999.gate"}, {gate}).message(), HasSubstr("too large"));
  EXPECT_THAT(error({"model.layers.3.mlp.gate", "mtp.layers.3.mlp.gate"}, {gate}).message(),
              HasSubstr("would both be"));
}

TEST(BiasNamesTest, APatternSaysItAll) {
  EXPECT_THAT(Biases(*NamesByPattern("moe.{}.b", kLayers)), ElementsAre("moe.3.b", "moe.12.b"));
  for (const std::string pattern : {"moe.b", "moe.{}.{}"}) {
    EXPECT_THAT(NamesByPattern(pattern, kLayers).status().message(), HasSubstr(pattern));
  }
}

TEST(BiasNamesTest, UnknownSchemesAreRefusedWithThoseThereAre) {
  EXPECT_THAT(FindScheme("megatrom").status().message(),
              AllOf(HasSubstr("\"megatrom\""), HasSubstr("hf, megatron, torchtitan, olmo, hyper_parallel, axolotl")));
}

}  // namespace
}  // namespace evenkeel::checkpoint
