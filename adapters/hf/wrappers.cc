#include "adapters/hf/family.h"

// Configs that have their decoder's within them, and families that are refused by name. Checked against transformers
// 5.23, module paths against the models as it builds them.
namespace evenkeel::hf {
namespace {

constexpr absl::string_view kLanguageModel = "model.language_model.layers.";

// model type | path | inner type | layers in the model | in the checkpoint | fields at the top
constexpr Wrapper kWrapperRows[] = {
    {"glm4v_moe", {"text_config"}, "glm4v_moe_text", kLanguageModel, kLanguageModel},
    {"kimi_k25", {"text_config"}, "deepseek_v3", kLanguageModel, "language_model.model.layers."},
    {"kimi_k3", {"text_config"}, "kimi_k3_text", kLanguageModel, "language_model.model.layers."},
    {"minimax_m3_vl", {"text_config"}, "minimax_m3_vl_text", kLanguageModel, "language_model.model.layers."},
    {"step3p7", {"text_config"}, "step3p5", kLanguageModel, "model.layers."},
    {"ernie4_5_vl_moe", {"text_config"}, "ernie4_5_vl_moe_text", kLanguageModel, "model.layers."},
    {"qwen3_5_moe", {"text_config"}, "qwen3_5_moe_text", kLanguageModel, kLanguageModel},
    {"qwen3_vl_moe", {"text_config"}, "qwen3_vl_moe_text", kLanguageModel, kLanguageModel},
    {"qwen3_omni_moe",
     {"thinker_config", "text_config"},
     "qwen3_omni_moe_text",
     "thinker.model.language_model.layers.",
     "thinker.model.layers."},
    {"qwen3_omni_moe",
     {"talker_config", "text_config"},
     "qwen3_omni_moe_talker_text",
     "talker.model.layers.",
     "talker.model.layers."},
    {"qwen3_omni_moe_thinker", {"text_config"}, "qwen3_omni_moe_text", kLanguageModel, "thinker.model.layers."},
    {"deepseek_ocr2", {"text_config"}, "deepseek_ocr2_text", kLanguageModel, "model.layers."},
    {"glm5_next", {"text_config"}, "glm5_next_text", kLanguageModel, kLanguageModel, /*may_be_flat=*/true},
    {"qwen4_exp", {"text_config"}, "qwen4_exp_text", kLanguageModel, kLanguageModel},
    {"unlimited_ocr", {"text_config"}, "unlimited_ocr_text", kLanguageModel, "model.layers."},
    // As released: configuration_unlimited_ocr.py.
    {"unlimited_ocr", {"language_config"}, "unlimited_ocr_text", kLanguageModel, "model.layers."},
    {"mistral_large4", {"text_config"}, "mistral_large4_text", kLanguageModel, "layers."},
    // Released with the text model's fields at the top: configuration_dots3_note.py.
    {"dots3_note", {"text_config"}, "dots3_note_text", kLanguageModel, "model.layers.", /*may_be_flat=*/true},
    {"muse_spark", {"text_config"}, "muse_spark_text", kLanguageModel, kLanguageModel},
    // llm_config as released: configuration_nemotron_h_omni.py.
    {"nemotron_h_omni",
     {"text_config"},
     "nemotron_h",
     "language_model.model.layers.",
     "language_model.backbone.layers."},
    {"nemotron_h_omni",
     {"llm_config"},
     "nemotron_h",
     "language_model.model.layers.",
     "language_model.backbone.layers."},
    {"inkling2", {"text_config"}, "inkling2_text", kLanguageModel, "model.llm.layers."},
    {"llama4", {"text_config"}, "llama4_text", "language_model.model.layers.", "language_model.model.layers."},
    {"aria", {"text_config"}, "aria_text", kLanguageModel, "language_model.model.layers."},
};

constexpr Refusal kRefusalRows[] = {
    {{"inkling_text", "inkling_mm_model"},
     "its routed and shared experts share one normaliser, a softmax of their log-sigmoids, and a learned scale"},
    {{"phimoe"}, "its sparse mixer gives each of its two picks a softmax of its own"},
    {{"dbrx"}, "it divides the weights by a p-norm"},
    {{"gemma4", "gemma4_text", "diffusion_gemma", "diffusion_gemma_text"},
     "it multiplies each weight by a learned scale of the expert"},
    {{"doge"}, "it finds its experts by product keys, in two tables of their square root"},
    {{"switch_transformers", "nllb_moe"}, "it is an encoder-decoder, which drops tokens over the experts' capacity"},
};

}  // namespace

const absl::Span<const Wrapper> kWrappers = kWrapperRows;
const absl::Span<const Refusal> kRefusals = kRefusalRows;

}  // namespace evenkeel::hf
