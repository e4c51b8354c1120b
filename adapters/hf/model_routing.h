#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/routing/route_spec.h"

// What a Hugging Face config.json says about a model's routers: which layers are mixtures of experts, what each is
// called, and how it routes. The model families are rows of a table; see family.h.
//
// BIAS SPACE. spec.score says what the bias is added to. A family that is trained with a correction bias keeps its
// space (sigmoid scores, softmax probabilities, ...). One without gets it on the logits where its experts are chosen by
// a softmax or by the logits themselves, and on the sigmoid where they are chosen by that; the ids and weights at zero
// bias are the family's own all the same. Where logits cannot do that (sums of probabilities order the groups), the
// bias is on the probabilities and a note says so.
namespace evenkeel::hf {

// The tensors that hold the correction bias of a layer.
struct CorrectionBias {
  std::vector<std::string> module_names;  // in the model as transformers builds it, one a stream
  std::string checkpoint_name;            // in the released checkpoints
  std::vector<int> checkpoint_shape;      // [experts], [1, experts], or [streams, experts]
};

struct MoeLayer {
  int index = 0;     // of the decoder layer, from 0
  std::string name;  // the module path of the router, or of the MoE block where it has several: the layer's identity
  routing::RouteSpec spec;
  int num_streams = 1;  // bias and count vectors, all of the same spec: routers of text and of image tokens are two
  std::optional<CorrectionBias> bias;  // nothing: the family has none of its own
  // Experts from this one on are counted and never moved: identity experts, a class that skips the layer.
  int num_balanced_experts = 0;
  // What the model multiplies besides the weights. The output of the routed experts by this:
  float output_scale = 1;
  // and the experts' input, not their output, by the weights.
  bool weights_scale_input = false;
};

// A layer of experts that no bias can balance.
struct ExcludedLayer {
  int index = 0;
  std::string name;
  std::string reason;
};

// One stack of decoder layers. Indices ascend.
struct Decoder {
  std::string model_type;   // as resolved: that of the nested config where there is one
  std::string config_path;  // where its fields are, such as "text_config"; empty: at the top
  int num_layers = 0;
  std::vector<MoeLayer> moe_layers;
  std::vector<int> dense_layers;
  std::vector<ExcludedLayer> excluded_layers;
  bool natively_bias_balanced = false;  // its layers have a correction bias of their own
  std::vector<std::string> notes;       // what else to know, in sentences without a full stop
};

struct ModelRouting {
  std::string model_type;         // at the top of the config
  std::vector<Decoder> decoders;  // nearly always one; qwen3_omni_moe's thinker and talker are two
};

// What the text of a config.json says. `origin` names it in messages.
//
// A field that says HOW (a flag, a scale, a rule) may be missing or null, and then has the default of the family's own
// configuration class. One that says HOW MANY (layers, experts, experts per token) may not: transformers writes it into
// every config.json, default or not, so a file without it is not of this family. Fields that are not read may hold
// anything, Infinity too. Nested text configs are found, and aliases understood.
//
// INVALID_ARGUMENT, naming place and field, for text that is no JSON object, an unknown model_type, a missing field, a
// wrong type, a value out of range, two names of one field that disagree, and a field that contradicts the family.
// UNIMPLEMENTED, with the reason, for a model whose routing a RouteSpec cannot express.
//
// Pure, thread-safe. Every spec of the answer is valid.
absl::StatusOr<ModelRouting> ReadModelConfig(absl::string_view json, absl::string_view origin);

// As above, from a file of at most 1 MiB, whose path is the origin. NOT_FOUND when there is none.
absl::StatusOr<ModelRouting> ReadModelConfigFile(const std::string& path);

}  // namespace evenkeel::hf
