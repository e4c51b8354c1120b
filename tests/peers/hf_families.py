"""Small config.json files of our own making, for every family that the adapter of Hugging Face configs knows.

A case is a config.json as a trainer would write it by hand: sizes, and only the fields that the case is about, so that
what is absent takes the family's default. Sizes are no class's defaults.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Family:
    """The cases of a model_type: each is `sizes` and one of `variants`."""

    sizes: dict
    variants: tuple = ({},)
    nested: tuple = ()  # the configs that they are in, outermost first
    outer: dict = dataclasses.field(default_factory=dict)  # fields beside the outermost
    built_as: str = ""  # the model_type that transformers knows it by, where that is another

    def configs(self, model_type):
        """Every config.json of the family, as a dict."""
        for variant in self.variants:
            config = {**self.sizes, **variant}
            for name in reversed(self.nested):
                config = {name: config}
            yield {"model_type": model_type, **self.outer, **config}


LAYERS = 5
DENSE_FIRST = ["dense", "sparse", "dense", "sparse", "sparse"]
NORMALIZED = ({"norm_topk_prob": True}, {"norm_topk_prob": False})
GROUPS = {"n_group": 4, "topk_group": 2, "routed_scaling_factor": 1.7}
# One group of four is not kept; with all biased scores negative, a fill of 0 chooses all its experts, and no tie.
FILL = {"n_routed_experts": 16, "num_experts_per_tok": 8, "n_group": 4, "topk_group": 3}


def _sizes(experts, top_k, **more):
    """Names and values of the sizes, given as (name, value)."""
    return {experts[0]: experts[1], top_k[0]: top_k[1], "num_hidden_layers": LAYERS, **more}


ROUTED = _sizes(("n_routed_experts", 32), ("num_experts_per_tok", 4))
LOCAL = _sizes(("num_local_experts", 24), ("num_experts_per_tok", 3))
PLAIN = _sizes(("num_experts", 24), ("num_experts_per_tok", 3))

TEXT = ("text_config",)
FIRST_K = ({"first_k_dense_replace": 2},)
TYPES = ({"mlp_layer_types": DENSE_FIRST},)
SPARSE_STEP = ({"decoder_sparse_step": 2}, {"mlp_only_layers": [1, 3]})
GROUP_MAX = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "routed_scaling_factor": 1.7}

# Families with a correction bias of their own.
AUX_FREE = {
    "deepseek_v3": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K)),
    "deepseek_v32": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES)),
    "deepseek_v4": Family(
        {**ROUTED, "num_experts_per_tok": 3},
        (
            {},
            {"num_hash_layers": 1, "routed_scaling_factor": 2.5},
            {"mlp_layer_types": ["moe", "hash_moe", "moe", "moe", "moe"]},
            {"scoring_func": "sigmoid", "norm_topk_prob": False},
        ),
    ),
    "glm4_moe": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K)),
    "glm4_moe_lite": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *TYPES)),
    "glm4v_moe": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K), TEXT),
    "glm_moe_dsa": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES)),
    "dots1": Family({**ROUTED, "n_shared_experts": 1}, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K)),
    "dots3_note": Family(
        ROUTED,
        ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES, {"moe_layer_freq": 2}, {"moe_layer_freq": [1, 0, 1, 0, 1]}),
    ),
    "exaone_moe": Family(PLAIN, ({}, GROUPS, *NORMALIZED, *FIRST_K, *TYPES)),
    "nemotron_h": Family(
        {"n_routed_experts": 32, "num_experts_per_tok": 5},
        (
            {"hybrid_override_pattern": "MEM*E-E"},
            {"hybrid_override_pattern": "ME*E", "num_hidden_layers": 9, "n_groups": 4, **GROUPS},
            {"layers_block_type": ["mamba", "moe", "attention", "moe"], "norm_topk_prob": False},
            {"layers_block_type": ["linear_attention", "moe", "full_attention", "mlp", "moe"]},
        ),
    ),
    "nemotron_h_omni": Family(
        {"n_routed_experts": 32, "num_experts_per_tok": 5, "hybrid_override_pattern": "MEM*E-E"},
        ({}, GROUPS),
        ("llm_config",),
    ),
    "axk1": Family(
        {**ROUTED, "n_routed_experts": 48}, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES, {"moe_layer_freq": 2})
    ),
    "axk2": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES, {"moe_layer_freq": 2})),
    "mimo_v2_flash": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *TYPES, {"routed_scaling_factor": None})),
    "solar_open": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED)),
    "minimax_m2": Family(LOCAL),
    "minimax_m3_vl": Family(
        LOCAL, ({}, {"moe_layer_freq": [0, 0, 1, 1, 1], "routed_scaling_factor": 1.5}, *TYPES), TEXT
    ),
    "hy_v3": Family(PLAIN, ({}, {"router_scaling_factor": 1.5}, *TYPES)),
    "step3p7": Family(
        {"moe_num_experts": 24, "moe_top_k": 3, "num_hidden_layers": LAYERS},
        (
            {},
            {"moe_layers_enum": "1,2,4", "moe_router_scaling_factor": 3.0},
            {"moe_layers_enum": [2, 3], "num_nextn_predict_layers": 2},
            *TYPES,
            {"mlp_layer_types": [*DENSE_FIRST, "sparse"], "num_nextn_predict_layers": 1},
        ),
        TEXT,
    ),
    "laguna": Family(PLAIN, ({}, {"moe_routed_scaling_factor": 2.5}, *TYPES)),
    "lfm2_moe": Family(
        {**PLAIN, "layer_types": ["conv"] * LAYERS},
        ({}, *NORMALIZED, {"num_dense_layers": 3, "routed_scaling_factor": 1.5}, {"use_expert_bias": False}),
    ),
    "afmoe": Family(PLAIN, ({}, {"num_dense_layers": 3, "route_scale": 2.5})),
    "ernie4_5_moe": Family(
        {"moe_num_experts": 24, "moe_k": 3, "num_hidden_layers": 7},
        (
            {},
            {"moe_layer_start_index": 2, "moe_layer_end_index": 4},
            {"moe_layer_interval": 2, "moe_layer_start_index": 0, "moe_layer_end_index": -1},
        ),
    ),
    "ernie4_5_vl_moe": Family({"moe_num_experts": 24, "moe_k": 3, "num_hidden_layers": LAYERS}, ({}, *TYPES), TEXT),
    "longcat_flash": Family(
        {"n_routed_experts": 24, "moe_topk": 3, "num_layers": 4, "num_hidden_layers": 8},
        ({"zero_expert_num": 8}, {"zero_expert_num": 0, "routed_scaling_factor": 2.0}),
    ),
    "zaya": Family({"num_experts": 24, "num_experts_per_tok": 1, "num_hidden_layers": LAYERS}),
    "kimi_k2": Family(ROUTED, ({"n_group": 1, "topk_group": 1}, GROUPS, *FIRST_K), built_as="deepseek_v3"),
    "kimi_k25": Family(
        {**ROUTED, "model_type": "kimi_k2", "n_group": 1, "topk_group": 1},
        ({"first_k_dense_replace": 1, "routed_scaling_factor": 2.827}, {}),
        TEXT,
    ),
    "kimi_linear": Family(
        _sizes(("num_experts", 32), ("num_experts_per_token", 4)),
        (
            {},
            {"num_expert_group": 4, "topk_group": 2, "routed_scaling_factor": 1.7},
            {"moe_renormalize": False},
            *FIRST_K,
        ),
    ),
    "bailing_hybrid": Family(
        _sizes(("num_experts", 32), ("num_experts_per_token", 4)),
        (
            {},
            {"num_expert_group": 4, "topk_group": 2, "routed_scaling_factor": 1.7},
            {"num_expert_group": 4, "topk_group": 3, "num_experts": 16, "num_experts_per_token": 8},
            {"moe_renormalize": False},
            {"norm_topk_prob": False, "n_group": 4, "topk_group": 2},
            *FIRST_K,
            *TYPES,
        ),
    ),
    "beam": Family(
        _sizes(("num_experts", 32), ("num_experts_per_tok", 4)),
        (
            {},
            GROUPS,
            {"num_experts": 16, "num_experts_per_tok": 8, "n_group": 4, "topk_group": 3},
            *NORMALIZED,
            *TYPES,
        ),
    ),
    "glm5_next": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *TYPES)),
    "hy_v4": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *TYPES)),
    "inkling2": Family(ROUTED, ({}, {"route_scale": 1.5}, {"scoring_func": "sqrtsoftplus"}), TEXT),
    "inkling2_text": Family(ROUTED),
    "kolibri1": Family(PLAIN, ({}, *NORMALIZED)),
    "muse_spark": Family(LOCAL, ({}, {"routed_scaling_factor": 1.5, "output_multiplier": 0.75}, *TYPES), TEXT),
    "bailing_moe": Family(PLAIN),
    "bailing_moe_v2": Family(PLAIN),
    "bailing_moe_linear": Family(PLAIN),
    "kimi_k3": Family(PLAIN),
    "klear": Family(PLAIN),
}

# Families without one.
SOFTMAX_FIRST = {
    "mixtral": Family(LOCAL),
    "minimax": Family(LOCAL),
    "qwen2_moe": Family(PLAIN, ({}, *NORMALIZED, *SPARSE_STEP)),
    "qwen3_moe": Family(PLAIN, ({}, *NORMALIZED, *SPARSE_STEP)),
    "qwen3_next": Family(PLAIN, ({}, *NORMALIZED, *SPARSE_STEP)),
    "qwen3_5_moe": Family(PLAIN, nested=TEXT),
    "qwen3_5_moe_text": Family(PLAIN),
    "qwen3_vl_moe": Family(PLAIN, ({}, *SPARSE_STEP), TEXT),
    "qwen3_omni_moe": Family(
        PLAIN,
        ({}, *NORMALIZED, *SPARSE_STEP),
        ("thinker_config", "text_config"),
        outer={
            "talker_config": {
                "text_config": {**LOCAL, "shared_expert_intermediate_size": 8},
                "spatial_merge_size": 2,
            }
        },
    ),
    "qwen3_omni_moe_thinker": Family(PLAIN, ({}, *NORMALIZED), TEXT),
    "qwen4_exp": Family({**PLAIN, "layer_types": ["linear_attention"] * LAYERS}, ({}, *NORMALIZED), TEXT),
    "qwen4_exp_text": Family({**PLAIN, "layer_types": ["linear_attention"] * LAYERS}, ({}, *NORMALIZED)),
    "flint": Family(PLAIN, ({}, *NORMALIZED, *SPARSE_STEP, {"mlp_only_layers": []})),
    "olmoe": Family(PLAIN, ({}, *NORMALIZED)),
    "flex_olmo": Family(_sizes(("num_experts", 7), ("num_experts_per_tok", 5)), ({}, *NORMALIZED)),
    "mellum": Family(PLAIN, ({}, *NORMALIZED, *TYPES)),
    "deepseek_v2": Family(ROUTED, ({}, GROUP_MAX, *NORMALIZED, *FIRST_K)),
    "deepseek_ocr2": Family({**ROUTED, "mlp_layer_types": DENSE_FIRST}, ({}, GROUP_MAX), TEXT),
    "unlimited_ocr": Family(ROUTED, ({}, GROUP_MAX, *NORMALIZED, *FIRST_K, *TYPES), ("language_config",)),
    "mistral_large4": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K, *TYPES), TEXT),
    "mistral4": Family(ROUTED, ({}, GROUPS, FILL, *NORMALIZED, *FIRST_K)),
    "llama4": Family(LOCAL, ({}, {"interleave_moe_layer_step": 2}, {"moe_layers": [0, 3]}), TEXT),
    "llama4_text": Family(LOCAL, ({}, {"num_experts_per_tok": 1})),
    "gpt_oss": Family(LOCAL),
    "openai_privacy_filter": Family(LOCAL),
    "cohere2_moe": Family(
        PLAIN,
        (
            {},
            {"norm_topk_prob": False},
            {"expert_selection_fn": "sigmoid"},
            {"expert_selection_fn": "sigmoid", "norm_topk_prob": False},
            *FIRST_K,
            *TYPES,
        ),
    ),
    "granitemoe": Family(LOCAL),
    "granitemoehybrid": Family(LOCAL),
    "granitemoeshared": Family(LOCAL),
    "granitemoe_swa": Family(LOCAL),
    "jetmoe": Family(LOCAL),
    "jamba": Family(
        {**PLAIN, "num_hidden_layers": 9},
        (
            {},
            {"expert_layer_period": 3, "expert_layer_offset": 2},
            {"expert_layer_period": 4, "expert_layer_offset": 0},
        ),
    ),
    "hunyuan_v1_moe": Family(
        {"num_experts": 24, "num_hidden_layers": LAYERS, "head_dim": 64},
        ({"moe_topk": 3}, {"moe_topk": [1, 2, 3, 2, 4]}),
    ),
    "aria": Family({"moe_num_experts": 24, "moe_topk": 3, "num_hidden_layers": LAYERS}, nested=TEXT),
    "aria_text": Family({"moe_num_experts": 24, "moe_topk": 3, "num_hidden_layers": LAYERS}),
}

# What no RouteSpec says: the adapter must refuse it, and name the family or the field.
REFUSED = {
    "phimoe": Family({**LOCAL, "num_experts_per_tok": 2}),
    "dbrx": Family({"n_layers": LAYERS, "ffn_config": {"moe_num_experts": 24, "moe_top_k": 3}}),
    "gemma4_text": Family({**PLAIN, "enable_moe_block": True, "top_k_experts": 3}),
    "gemma4": Family({**PLAIN, "enable_moe_block": True, "top_k_experts": 3}, nested=TEXT),
    "diffusion_gemma": Family({**PLAIN, "enable_moe_block": True, "top_k_experts": 3}, nested=TEXT),
    "inkling_text": Family(ROUTED),
    "inkling_mm_model": Family(ROUTED, nested=TEXT),
    "doge": Family({**PLAIN, "num_experts": 25, "is_moe": True}),
    "laguna": Family({**PLAIN, "moe_router_logit_softcapping": 30.0}),
}

COMPARED = {**AUX_FREE, **SOFTMAX_FIRST}

# Folders of transformers with routers that are none of ours: encoder-decoders, and one that routes no experts.
OTHER_ROUTERS = ("granite_docling", "nllb_moe", "switch_transformers")
