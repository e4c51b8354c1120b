#pragma once

#include "adapters/hf/config_map.h"

// Fields that all families share, under all their names in transformers' attribute maps and in released configs.
namespace evenkeel::hf {

inline constexpr Names kNumExperts{"num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"};
inline constexpr Names kTopK{"num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k"};
inline constexpr Names kNumGroups{"n_group", "num_expert_group"};
inline constexpr Names kTopGroups{"topk_group"};
inline constexpr Names kTopkMethod{"topk_method"};
inline constexpr Names kNormalize{"norm_topk_prob", "moe_renormalize"};
inline constexpr Names kScoreWord{"scoring_func", "score_function", "moe_router_activation_func"};
inline constexpr Names kMlpLayerTypes{"mlp_layer_types"};
inline constexpr Names kNumPredictLayers{"num_nextn_predict_layers", "num_mtp_layers"};

}  // namespace evenkeel::hf
