"""Newer families with experts, and what is built as they are, for tiny_architectures and architectures_gguf: their cases, the
shapes of their layers, and their keys and names in GGUF."""

from collections.abc import Callable
from typing import Any

from scripts.golden import experts_gguf
from scripts.golden.tiny_experts import MLA, deepseek_layer, experts_of, shared_experts
from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import (
    FULL,
    SILU,
    SLIDING,
    Shapes,
    TinyArchitecture,
    attention,
    default_rope,
    family,
    gated_mlp,
    linear,
    norms,
    widths,
)

YOUTU = family("Youtu", "youtu", rms_norm_eps=1e-6, tie_word_embeddings=True, attention_bias=False, **SILU)
GLM4_MOE = family("Glm4Moe", "glm4_moe", rms_norm_eps=1e-5, tie_word_embeddings=False, num_nextn_predict_layers=1, **SILU)
MELLUM = family("Mellum", "mellum", rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False, **SILU)
AFMOE = family("Afmoe", "afmoe", rms_norm_eps=1e-5, tie_word_embeddings=False, attention_bias=False, **SILU)
MINIMAX_M2 = family("MiniMaxM2", "minimax_m2", rms_norm_eps=1e-6, tie_word_embeddings=False, **SILU)
GLM4_EXPERTS = {"moe_intermediate_size": 64, "n_routed_experts": 6, "n_shared_experts": 1, "first_k_dense_replace": 1}

CASES: dict[str, TinyArchitecture] = {
    "youtu-published": TinyArchitecture(
        {**YOUTU, **heads(4, 4), **{k: v for k, v in MLA.items() if k != "moe_layer_freq"}, "num_hidden_layers": 2}
        | {"q_lora_rank": 40, "qk_head_dim": 48, "head_dim": 16, "rope_interleave": True, "rope_theta": 160000.0}
        | {"rope_scaling": None, "mlp_bias": False, "pad_token_id": None, "embedding_initializer_range": 0.04},
        about="MLA without experts, whose embedding is its head",
    ),
    "glm4_moe-published": TinyArchitecture(
        {**GLM4_MOE, **heads(4, 2, 32), **GLM4_EXPERTS, "attention_bias": True, "num_experts_per_tok": 3, "n_group": 1}
        | {"topk_group": 1, "norm_topk_prob": True, "routed_scaling_factor": 1.0, "use_qk_norm": False}
        | {"partial_rotary_factor": 0.5, "rope_theta": 1000000.0, "rope_scaling": None},
        about="as GLM-4.5 Air: biases on q, k, v; half of a head turns; experts by a sigmoid and a bias after a dense layer",
    ),
    "glm4_moe-norms": TinyArchitecture(
        {**GLM4_MOE, **heads(3, 1, 40), **GLM4_EXPERTS, "hidden_size": 100, "num_hidden_layers": 2, "attention_bias": True}
        | {"num_experts_per_tok": 2, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "use_qk_norm": True, "n_group": 2}
        | {"topk_group": 1, **default_rope(2000.0, partial_rotary_factor=0.4)},
        about="as GLM-4.6, whose heads are normalised; groups of experts, and a scale",
    ),
    "mellum-published": TinyArchitecture(
        {**MELLUM, **heads(4, 2, 32), "moe_intermediate_size": 64, "num_experts": 5, "num_experts_per_tok": 2}
        | {"norm_topk_prob": True, "sliding_window": 9, "num_hidden_layers": 4, "mlp_layer_types": ["sparse"] * 4}
        | {"layer_types": [SLIDING, SLIDING, SLIDING, FULL], "router_aux_loss_coef": 0.001}
        | {
            "rope_parameters": {
                FULL: {"rope_type": "default", "rope_theta": 2000.0},
                SLIDING: {"rope_type": "default", "rope_theta": 2000.0},
            }
        },
        about="experts in every layer, windows in three of four",
    ),
    "mellum-ropes": TinyArchitecture(
        {**MELLUM, **heads(4, 1, 24), "moe_intermediate_size": 64, "num_local_experts": 4, "num_experts_per_tok": 3}
        | {"norm_topk_prob": False, "sliding_window": 9, "mlp_layer_types": ["dense", "sparse", "sparse"]}
        | {"layer_types": [FULL, SLIDING, SLIDING], "hidden_size": 64}
        | {
            "rope_parameters": {
                FULL: {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 64},
                SLIDING: {"rope_type": "default", "rope_theta": 300.0},
            }
        },
        about="RoPE by kind of layer, YaRN on the full one; a dense layer; shares that do not add up to 1",
    ),
    "afmoe-published": TinyArchitecture(
        {**AFMOE, **heads(4, 2, 32), "moe_intermediate_size": 64, "num_hidden_layers": 4, "num_experts": 6}
        | {"num_experts_per_tok": 3, "num_shared_experts": 1, "num_dense_layers": 1, "route_norm": True, "route_scale": 1.6}
        | {"score_func": "sigmoid", "n_group": 1, "topk_group": 1, "mup_enabled": True, "sliding_window": 9}
        | {"global_attn_every_n_layers": 4, "rope_theta": 2000.0},
        about="as Trinity: gates on what attention gives, no positions in the full layer, scaled embeddings, four norms",
    ),
    "afmoe-types": TinyArchitecture(
        {**AFMOE, **heads(3, 1, 40), "moe_intermediate_size": 64, "hidden_size": 100, "num_experts": 5}
        | {"num_experts_per_tok": 2, "num_shared_experts": 2, "num_dense_layers": 0, "route_scale": 1.0, "sliding_window": 9}
        | {"mup_enabled": False, "layer_types": [FULL, SLIDING, SLIDING], **default_rope(700.0)},
        about="layers in an order of their own, no dense one; embeddings as they are",
    ),
    "minimax_m2-published": TinyArchitecture(
        {**MINIMAX_M2, **heads(4, 2, 32), "intermediate_size": 64, "num_local_experts": 6, "num_experts_per_tok": 3}
        | {"scoring_func": "sigmoid", "use_qk_norm": True, "qk_norm_type": "per_layer", "use_routing_bias": True}
        | {"rotary_dim": 16, "rope_theta": 5000.0, "attn_type_list": [1, 1, 1]},
        about="norms over all heads at once, half of each turns; experts by a sigmoid and a bias in every layer",
    ),
}


# ---- shapes


def routed_mlp(config: dict[str, Any]) -> Shapes:
    """DeepSeek V3's, or the first layers' plain one."""
    if config["layer"] < config["first_k_dense_replace"]:
        return (yield from gated_mlp(config))
    yield from experts_of({**config, "num_local_experts": config["n_routed_experts"]})
    yield from shared_experts(config)
    yield "mlp.gate.e_score_correction_bias", (config["n_routed_experts"],)


def glm4_moe_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from attention(config, config["attention_bias"])
    if config["use_qk_norm"]:
        yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")
    yield from routed_mlp(config)


def mellum_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from attention(config)
    yield from norms(widths(config)[0], "self_attn.q_norm", "self_attn.k_norm")
    is_dense = config["mlp_layer_types"][config["layer"]] == "dense"
    yield from gated_mlp(config) if is_dense else experts_of(config)


def afmoe_layer(config: dict[str, Any]) -> Shapes:
    hidden, (head_dim, query, _) = config["hidden_size"], widths(config)
    names = ("input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm")
    yield from norms(hidden, *names)
    yield from attention(config)
    yield from linear("self_attn.gate_proj", query, hidden)
    yield from norms(head_dim, "self_attn.q_norm", "self_attn.k_norm")
    if config["layer"] < config["num_dense_layers"]:
        return (yield from gated_mlp(config))
    yield from ((name.replace("mlp.gate.", "mlp.router.gate."), shape) for name, shape in experts_of(config))
    yield from shared_experts({**config, "n_shared_experts": config["num_shared_experts"]})
    yield "mlp.expert_bias", (config["num_experts"],)


def minimax_m2_layer(config: dict[str, Any]) -> Shapes:
    _, query, key_value = widths(config)
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from attention(config)
    yield from norms(query, "self_attn.q_norm")
    yield from norms(key_value, "self_attn.k_norm")
    yield from experts_of(config, "block_sparse_moe", ("w1", "w3", "w2"))
    yield "block_sparse_moe.e_score_correction_bias", (config["num_local_experts"],)


def youtu_layer(config: dict[str, Any]) -> Shapes:
    return deepseek_layer({**config, "first_k_dense_replace": config["num_hidden_layers"]})


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "youtu": youtu_layer,
    "glm4_moe": glm4_moe_layer,
    "mellum": mellum_layer,
    "afmoe": afmoe_layer,
    "minimax_m2": minimax_m2_layer,
}


# ---- GGUF

GGUF_CASES = ("youtu-published", "glm4_moe-published", "glm4_moe-norms", "mellum-published", "afmoe-published")
GGUF_CASES += ("minimax_m2-published",)
ARCHITECTURE_NAMES = {"youtu": "deepseek2", "glm4_moe": "glm4moe", "minimax_m2": "minimax-m2"}
NAMES = {
    "glm4_moe": {"post_attention_layernorm": "post_attention_norm"},
    "minimax_m2": {"block_sparse_moe": "exp_probs_b"},
    "afmoe": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_mlp_layernorm": "ffn_norm",
        "post_mlp_layernorm": "post_ffw_norm",
        "self_attn.gate_proj": "attn_gate",
        "mlp.router.gate": "ffn_gate_inp",
        "mlp.exp_probs_b": "exp_probs_b",
    },
}


def youtu_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Without experts, of which the converter speaks all the same."""
    dense = {"leading_dense_block_count": config["num_hidden_layers"], "expert_shared_count": 0}
    return experts_gguf.mla_keys(config) | dense | {"expert_feed_forward_length": config["intermediate_size"]}


def glm4_moe_keys(config: dict[str, Any]) -> dict[str, Any]:
    parameters = config.get("rope_parameters") or config
    turning = {"rope.dimension_count": int(widths(config)[0] * parameters["partial_rotary_factor"])}
    return experts_gguf.routed_keys(config) | of_heads(config, parameters) | turning | {"expert_gating_func": 2}


def mellum_keys(config: dict[str, Any]) -> dict[str, Any]:
    return (
        of_heads(config, config["rope_parameters"][FULL])
        | experts_gguf.expert_keys(config)
        | {
            "expert_feed_forward_length": config["moe_intermediate_size"],
            "attention.sliding_window": config["sliding_window"],
            "attention.sliding_window_pattern": [kind == SLIDING for kind in config["layer_types"]],
            "rope.freq_base_swa": config["rope_parameters"][SLIDING]["rope_theta"],
        }
    )


def afmoe_keys(config: dict[str, Any]) -> dict[str, Any]:
    return (
        of_heads(config, config)
        | experts_gguf.expert_keys(config)
        | {
            "expert_feed_forward_length": config["moe_intermediate_size"],
            "expert_shared_count": config["num_shared_experts"],
            "leading_dense_block_count": config["num_dense_layers"],
            "expert_weights_norm": config["route_norm"],
            "expert_weights_scale": config["route_scale"],
            "expert_gating_func": 2,
            "attention.sliding_window": config["sliding_window"],
        }
    )


def minimax_m2_keys(config: dict[str, Any]) -> dict[str, Any]:
    size = {"expert_feed_forward_length": config["intermediate_size"], "expert_gating_func": 2}
    turning = {"rope.dimension_count": config["rotary_dim"]}
    return of_heads(config, config) | experts_gguf.expert_keys(config) | size | turning


def of_heads(config: dict[str, Any], rope: dict[str, Any]) -> dict[str, Any]:
    return {
        "rope.freq_base": float(rope["rope_theta"]),
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
    }


KEYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "youtu": youtu_keys,
    "glm4_moe": glm4_moe_keys,
    "mellum": mellum_keys,
    "afmoe": afmoe_keys,
    "minimax_m2": minimax_m2_keys,
}
