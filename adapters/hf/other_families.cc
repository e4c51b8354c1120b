#include "adapters/hf/family.h"

// Families that are trained with an auxiliary loss and have no correction bias; one may drive them all the same.
// Checked against transformers 5.23, configuration_*.py and modeling_*.py of the model's folder.
namespace evenkeel::hf {
namespace {

using routing::Score;
using Kind = LayerRule::Kind;

constexpr absl::string_view kLearnedBias =
    "mlp.router.bias is part of the logits and learned with them: it is not a balancing bias";

constexpr Quirks Llama4Quirks() {
  Quirks quirks;
  quirks.weights_scale_input = true;
  return quirks;
}

// model types | layers | score | groups | normalised | scaled | modules | note | quirks
constexpr Family kFamilies[] = {
    {{"mixtral", "minimax"}, AllLayers(), Softmax(), NoGroups(), Normalized(), NotScaled(), Router()},
    {{"qwen2_moe", "qwen3_moe", "qwen3_omni_moe_talker_text"},
     LayersBy(Kind::kSparseStep),
     Softmax(),
     NoGroups(),
     NormalizedByFlag(false),
     NotScaled(),
     Router()},
    {{"qwen3_next", "qwen3_omni_moe_text"},
     LayersBy(Kind::kSparseStep),
     Softmax(),
     NoGroups(),
     NormalizedByFlag(true),
     NotScaled(),
     Router()},
    // No flag here: what norm_topk_prob says is not read.
    {{"qwen3_5_moe_text"}, AllLayers(), Softmax(), NoGroups(), Normalized(), NotScaled(), Router()},
    {{"qwen4_exp_text"}, AllLayers(), Softmax(), NoGroups(), NormalizedByFlag(true), NotScaled(), Router()},
    {{"flint"}, LayersBy(Kind::kSparseStep, 2), Sigmoid(), NoGroups(), NormalizedByFlag(true), NotScaled(), Router()},
    {{"qwen3_vl_moe_text"}, LayersBy(Kind::kSparseStep), Softmax(), NoGroups(), Normalized(), NotScaled(), Router()},
    {{"olmoe", "flex_olmo"}, AllLayers(), Softmax(), NoGroups(), NormalizedByFlag(false), NotScaled(), Router()},
    {{"mellum"}, AllLayers(), Softmax(), NoGroups(), NormalizedByFlag(true), NotScaled(), Router()},
    // norm_topk_prob is a field and not read: modeling_deepseek_v2.py. deepseek_ocr2 has no default for mlp_layer_types
    // in transformers; its released config has first_k_dense_replace.
    {{"deepseek_v2", "deepseek_ocr2_text"},
     FirstLayersDense("first_k_dense_replace", 0),
     Softmax(),
     MaxGroupsByTopkMethod(),
     NotNormalized(),
     Scaled("routed_scaling_factor", 1),
     Router()},
    {{"mistral4"},
     FirstLayersDense("first_k_dense_replace", 0),
     Softmax(),
     Top2Groups(1, 1),
     NormalizedByFlag(true, 1e-20f),
     Scaled("routed_scaling_factor", 1),
     Router()},
    {{"unlimited_ocr_text"},
     FirstLayersDense("first_k_dense_replace", 1),
     Softmax(),
     MaxGroupsByTopkMethod(),
     NotNormalized(),
     Scaled("routed_scaling_factor", 1),
     Router()},
    {{"mistral_large4_text"},
     FirstLayersDense("first_k_dense_replace", 1),
     Softmax(),
     Top2Groups(1, 1),
     Normalized(1e-20f),
     Scaled("routed_scaling_factor", 1),
     Router()},
    {{"llama4_text"},
     LayersBy(Kind::kIndexList),
     TopKThenSigmoid(),
     NoGroups(),
     NotNormalized(),
     NotScaled(),
     Router("feed_forward.router"),
     "",
     Llama4Quirks()},
    {{"gpt_oss"},
     AllLayers(),
     TopKThenSoftmax(),
     NoGroups(),
     NotNormalized(),
     NotScaled(),
     Router("mlp.router"),
     kLearnedBias},
    {{"openai_privacy_filter"},
     AllLayers(),
     TopKThenSoftmax(),
     NoGroups(),
     NotNormalized(),
     DividedByTopK(),
     Router("mlp.router"),
     kLearnedBias},
    {{"cohere2_moe"},
     FirstLayersDense("first_k_dense_replace", 0),
     TopKThen("expert_selection_fn", Score::kSoftmax),
     NoGroups(),
     NormalizedByFlag(true),
     NotScaled(),
     Router()},
    {{"granitemoe", "granitemoehybrid", "granitemoeshared", "granitemoe_swa"},
     AllLayers(),
     TopKThenSoftmax(),
     NoGroups(),
     NotNormalized(),
     NotScaled(),
     Router("block_sparse_moe.router")},
    {{"jetmoe"},
     AllLayers(),
     TopKThenSoftmax(),
     NoGroups(),
     NotNormalized(),
     NotScaled(),
     Router("mlp.router"),
     "the routers of the attention's experts, self_attention.experts.router, have the same spec and are not listed"},
    {{"jamba"},
     LayersBy(Kind::kPeriod),
     Softmax(),
     NoGroups(),
     NotNormalized(),
     NotScaled(),
     Router("feed_forward.router")},
    {{"hunyuan_v1_moe"}, AllLayers(), Softmax(), NoGroups(), Normalized(), NotScaled(), Router()},
    {{"aria_text"}, AllLayers(), TopKThenSoftmax(), NoGroups(), NotNormalized(), NotScaled(), Router("mlp.router")},
};

}  // namespace

const absl::Span<const Family> kOtherFamilies = kFamilies;

}  // namespace evenkeel::hf
