"""Families whose layers carry a state, for tiny_architectures: their cases, and the shapes of their layers, which differ."""

from collections.abc import Callable
from typing import Any

from scripts.golden.tiny_models import heads
from scripts.golden.tiny_parts import (
    FULL,
    Shapes,
    TinyArchitecture,
    Tree,
    attention,
    default_rope,
    family,
    linear,
    norms,
    widths,
)

CONV = "conv"
LFM2_MOE = family("Lfm2Moe", "lfm2_moe", norm_eps=1e-5)
LFM2 = family("Lfm2", "lfm2", norm_eps=1e-5)

CASES: dict[str, TinyArchitecture] = {
    "lfm2-published": TinyArchitecture(
        {**LFM2, **heads(4, 2), "num_hidden_layers": 5, "intermediate_size": 240, "rope_theta": 10000.0, "conv_L_cache": 3}
        | {"conv_bias": False, "conv_dim": 96, "conv_dim_out": 96, "block_dim": 96, "block_ff_dim": 240, "num_heads": 4}
        | {"block_multiple_of": 32, "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True}
        | {"block_norm_eps": 1e-5, "block_use_swiglu": True, "use_pos_enc": True, "full_attn_idxs": [2, 4]},
        about="as the first release: a width that is adjusted, layers by their numbers, no word of tying",
    ),
    "lfm2-types": TinyArchitecture(
        {**LFM2, **heads(3, 1), "num_hidden_layers": 4, "hidden_size": 72, "conv_L_cache": 4, "conv_bias": True}
        | {"block_auto_adjust_ff_dim": False, "tie_word_embeddings": False, "layer_types": [FULL, CONV, FULL, CONV]}
        | default_rope(900.0),
        about="layers by their kinds, the last one a convolution, of 4; biases; a head of its own",
    ),
    "lfm2_moe-published": TinyArchitecture(
        {**LFM2_MOE, **heads(4, 2), "num_hidden_layers": 5, "conv_L_cache": 3, "conv_bias": False, "rope_theta": 10000.0}
        | {"layer_types": [CONV, FULL, CONV, CONV, FULL], "num_dense_layers": 2, "num_experts": 6, "num_experts_per_tok": 3}
        | {"moe_intermediate_size": 64, "norm_topk_prob": True, "routed_scaling_factor": 1.0, "use_expert_bias": True},
        about="two dense layers, then experts that a bias helps to choose",
    ),
    "lfm2_moe-scaled": TinyArchitecture(
        {**LFM2_MOE, **heads(3, 3), "num_hidden_layers": 3, "hidden_size": 72, "conv_L_cache": 3, "conv_bias": False}
        | {"layer_types": [CONV, FULL, CONV], "num_dense_layers": 1, "num_experts": 5, "num_experts_per_tok": 2}
        | {"moe_intermediate_size": 32, "norm_topk_prob": False, "routed_scaling_factor": 1.7, "use_expert_bias": False}
        | {"tie_embedding": True, **default_rope(900.0)},
        about="shares that do not add up to 1, times a factor; no bias of the choice; an older key of tying",
    ),
}


# ---- GGUF

LFM2_NAMES = {
    "embedding_norm": "token_embd_norm",
    "operator_norm": "attn_norm",
    "ffn_norm": "ffn_norm",
    "conv.in_proj": "shortconv.in_proj",
    "conv.conv": "shortconv.conv",
    "conv.out_proj": "shortconv.out_proj",
    "self_attn.out_proj": "attn_output",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w3": "ffn_up",
    "feed_forward.w2": "ffn_down",
}


LFM2_MOE_NAMES = {
    **LFM2_NAMES,
    "feed_forward.gate": "ffn_gate_inp",
    "feed_forward.exp_probs_b": "exp_probs_b",
    "feed_forward.experts.w1": "ffn_gate_exps",
    "feed_forward.experts.w3": "ffn_up_exps",
    "feed_forward.experts.w2": "ffn_down_exps",
}


def lfm2_moe_keys(config: dict[str, Any]) -> dict[str, Any]:
    return lfm2_keys(config) | {
        "expert_count": config["num_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "expert_feed_forward_length": config["moe_intermediate_size"],
        "expert_gating_func": 2,
        "leading_dense_block_count": config["num_dense_layers"],
    }


def lfm2_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Without the base of its rotation."""
    layers = range(config["num_hidden_layers"])
    return {
        "attention.head_count_kv": [config["num_key_value_heads"] if attends(config, i) else 0 for i in layers],
        "feed_forward_length": mlp_width(config),
        "shortconv.l_cache": config["conv_L_cache"],
    }


# ---- shapes


def lfm2_layer(config: dict[str, Any]) -> Shapes:
    hidden, has_bias = config["hidden_size"], config["conv_bias"]
    yield from norms(hidden, "operator_norm", "ffn_norm")
    if attends(config, config["layer"]):
        for part, shape in attention(config):
            yield part.replace("o_proj", "out_proj"), shape
        yield from norms(widths(config)[0], "self_attn.q_layernorm", "self_attn.k_layernorm")
    else:
        yield from linear("conv.in_proj", 3 * hidden, hidden, has_bias)
        yield from linear("conv.out_proj", hidden, hidden, has_bias)
        yield "conv.conv.weight", (hidden, 1, config["conv_L_cache"])
        if has_bias:
            yield "conv.conv.bias", (hidden,)
    if config["layer"] >= config.get("num_dense_layers", config["num_hidden_layers"]):
        yield from lfm2_experts(config)
    else:
        yield from lfm2_mlp("feed_forward", hidden, mlp_width(config))


def lfm2_mlp(part: str, hidden: int, size: int) -> Shapes:
    yield from linear(f"{part}.w1", size, hidden)
    yield from linear(f"{part}.w3", size, hidden)
    yield from linear(f"{part}.w2", hidden, size)


def lfm2_experts(config: dict[str, Any]) -> Shapes:
    yield from linear("feed_forward.gate", config["num_experts"], config["hidden_size"])
    if config["use_expert_bias"]:
        yield "feed_forward.expert_bias", (config["num_experts"],)
    for expert in range(config["num_experts"]):
        yield from lfm2_mlp(f"feed_forward.experts.{expert}", config["hidden_size"], config["moe_intermediate_size"])


def attends(config: dict[str, Any], layer: int) -> bool:
    return config["layer_types"][layer] == FULL if "layer_types" in config else layer in config["full_attn_idxs"]


def mlp_width(config: dict[str, Any]) -> int:
    """160 of the published one's 240."""
    return config["intermediate_size"] * 2 // 3 if config.get("block_auto_adjust_ff_dim") else config["intermediate_size"]


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {"lfm2": lfm2_layer, "lfm2_moe": lfm2_layer}
TREES = dict.fromkeys(LAYERS, Tree(norm="model.embedding_norm"))
TIED_BY_DEFAULT = ("lfm2", "lfm2_moe")
