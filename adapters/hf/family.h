#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "adapters/hf/config_map.h"
#include "kernels/routing/route_spec.h"

// A model family is one row of a table, and this is what a row says. The functions below write its columns; a row reads
// as a sentence about the family's module in transformers. Fields that go by the same names everywhere (experts, top k,
// groups, mlp_layer_types) are not in the rows: see fields.h.
namespace evenkeel::hf {

// Which layers are MoE, where the config does not list them by mlp_layer_types.
struct LayerRule {
  enum class Kind {
    kFirstDense,  // all but the first ones, and of those every moe_layer_freq-th, or those that it lists; a list
                  // alone says it where no field says how many are dense
    kFirstHash,   // all, the first num_hash_layers by a table
    kSparseStep,  // every decoder_sparse_step-th, less mlp_only_layers, or else less the first ones
    kPeriod,      // those with expert_layer_offset modulo expert_layer_period
    kInterval,    // every moe_layer_interval-th from moe_layer_start_index to moe_layer_end_index
    kIndexList,   // moe_layers, or else every interleave_moe_layer_step-th
    kIndexText,   // moe_layers_enum: "3,4,5", or else all but the first ones
    kBlockTypes,  // layers_block_type, or else the letters of hybrid_override_pattern
  };
  Kind kind;
  absl::string_view field = "";  // how many of the first ones are dense
  int first_dense = 0;           // and how many are without the field
};

// What experts are chosen by.
struct Scoring {
  routing::Score score;
  bool of_selected = false;      // the logits choose, and the score function is taken of the chosen ones
  absl::string_view field = "";  // where a word of the config chooses the function; `score` is then the default
  bool may_be_softmax = true;    // the words that field may have
  bool may_be_softplus = false;
};

struct Grouping {
  bool exists = false;
  int num_groups = 0;  // without the field; 0: none
  int top_groups = 0;
  routing::GroupScore score = routing::GroupScore::kTop2Sum;
  routing::DroppedGroupFill fill = routing::DroppedGroupFill::kNegInf;
  bool by_topk_method = false;  // only with topk_method "group_limited_greedy"
};

struct Normalizing {
  enum class When { kNever, kAlways, kByFlag };
  When when = When::kNever;
  bool flag = false;  // without the field
  float epsilon = 0;
  absl::string_view min_field = "";
  float min = 0;
  bool above_one = false;  // only where top_k > 1
};

struct Scaling {
  absl::string_view field = "";
  float factor = 1;        // without the field
  bool of_output = false;  // the block scales what the experts give, not the router its weights
  bool per_top_k = false;  // the weights are divided by top_k
};

// Paths within a decoder layer.
struct Modules {
  absl::string_view router;
  absl::string_view bias[2] = {"", ""};  // one a stream; none: the family has no correction bias
  absl::string_view checkpoint_bias = "";
  absl::string_view checkpoint_layers = "model.layers.";  // where the checkpoint has its layers
  int checkpoint_rows = 0;                                // of the bias there; 0: it is a vector
  absl::string_view bias_flag = "";                       // the field that switches the bias
  bool has_bias = true;                                   // without it
};

// What only one or two families do.
struct Quirks {
  absl::string_view layers_field = "num_hidden_layers";
  absl::string_view identity_experts_field = "";  // how many more experts the router has, which do nothing
  bool skip_class = false;                        // the router has one class more, which skips the layer
  bool weights_scale_input = false;
  absl::string_view weights_scale_input_field = "";
  absl::string_view soft_cap_field = "";  // when it is above 0 the family is refused
};

struct Family {
  Names model_types;  // of the configs that have the fields
  LayerRule layers;
  Scoring scoring;
  Grouping grouping;
  Normalizing normalizing;
  Scaling scaling;
  Modules modules;
  absl::string_view note = "";
  Quirks quirks = {};
};

// A config whose decoder is described by a config within it.
struct Wrapper {
  absl::string_view model_type;
  absl::string_view path[2];           // of the config within
  absl::string_view inner_model_type;  // where that does not say itself
  absl::string_view module_layers;     // where the model has its layers
  absl::string_view checkpoint_layers;
  bool may_be_flat = false;  // where there is no config within, the config itself has the fields
};

// A family that a RouteSpec cannot express.
struct Refusal {
  Names model_types;
  absl::string_view reason;
};

// The rows of families.md: those with a correction bias, those without, and what stands around them.
extern const absl::Span<const Family> kBalancedFamilies;
extern const absl::Span<const Family> kOtherFamilies;
extern const absl::Span<const Wrapper> kWrappers;
extern const absl::Span<const Refusal> kRefusals;

// LAYERS

constexpr LayerRule AllLayers() { return {LayerRule::Kind::kFirstDense}; }
constexpr LayerRule FirstLayersDense(int first_dense) { return {LayerRule::Kind::kFirstDense, "", first_dense}; }
constexpr LayerRule FirstLayersDense(absl::string_view field, int first_dense) {
  return {LayerRule::Kind::kFirstDense, field, first_dense};
}
constexpr LayerRule LayersBy(LayerRule::Kind kind, int first_dense = 0) { return {kind, "", first_dense}; }

// SCORES

constexpr Scoring Sigmoid() { return {routing::Score::kSigmoid}; }
constexpr Scoring Softmax() { return {routing::Score::kSoftmax}; }
constexpr Scoring ScoreBy(absl::string_view field, routing::Score otherwise) { return {otherwise, false, field}; }
// An activation: of each logit on its own.
constexpr Scoring ActivationBy(absl::string_view field, routing::Score otherwise) {
  return {otherwise, false, field, /*may_be_softmax=*/false, /*may_be_softplus=*/true};
}
constexpr Scoring TopKThenSoftmax() { return {routing::Score::kSoftmax, true}; }
constexpr Scoring TopKThenSigmoid() { return {routing::Score::kSigmoid, true}; }
constexpr Scoring TopKThen(absl::string_view field, routing::Score otherwise) { return {otherwise, true, field}; }

// GROUPS

constexpr Grouping NoGroups() { return {}; }
constexpr Grouping Top2Groups(int num_groups, int top_groups,
                              routing::DroppedGroupFill fill = routing::DroppedGroupFill::kNegInf) {
  return {true, num_groups, top_groups, routing::GroupScore::kTop2Sum, fill};
}
constexpr Grouping MaxGroupsByTopkMethod() {
  return {true, 0, 0, routing::GroupScore::kMax, routing::DroppedGroupFill::kNegInf, true};
}

// WEIGHTS

constexpr Normalizing NotNormalized() { return {}; }
constexpr Normalizing Normalized(float epsilon = 0) { return {Normalizing::When::kAlways, true, epsilon}; }
constexpr Normalizing NormalizedAtLeast(absl::string_view min_field, float min) {
  return {Normalizing::When::kAlways, true, 0, min_field, min};
}
constexpr Normalizing NormalizedByFlag(bool otherwise, float epsilon = 0) {
  return {Normalizing::When::kByFlag, otherwise, epsilon};
}
constexpr Normalizing NormalizedByFlagAboveOne(bool otherwise, float epsilon) {
  return {Normalizing::When::kByFlag, otherwise, epsilon, "", 0, true};
}

constexpr Scaling NotScaled() { return {}; }
constexpr Scaling Scaled(absl::string_view field, float otherwise) { return {field, otherwise}; }
constexpr Scaling OutputScaled(absl::string_view field, float otherwise) { return {field, otherwise, true}; }
constexpr Scaling DividedByTopK() { return {"", 1, false, true}; }

// MODULES

constexpr Modules Router(absl::string_view router = "mlp.gate") { return {router}; }
constexpr Modules RouterAndBias(absl::string_view router, absl::string_view bias, absl::string_view checkpoint_bias,
                                absl::string_view checkpoint_layers = "model.layers.", int checkpoint_rows = 0) {
  return {router, {bias, ""}, checkpoint_bias, checkpoint_layers, checkpoint_rows};
}
constexpr Modules GateWithBias() {
  return RouterAndBias("mlp.gate", "mlp.gate.e_score_correction_bias", "mlp.gate.e_score_correction_bias");
}
constexpr Modules RouterAndBiasByFlag(absl::string_view router, absl::string_view bias, absl::string_view flag,
                                      bool otherwise) {
  return {router, {bias, ""}, bias, "model.layers.", 0, flag, otherwise};
}

}  // namespace evenkeel::hf
