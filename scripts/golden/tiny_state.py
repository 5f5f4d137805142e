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
    mlp = mlp_width(config)
    yield from linear("feed_forward.w1", mlp, hidden)
    yield from linear("feed_forward.w3", mlp, hidden)
    yield from linear("feed_forward.w2", hidden, mlp)


def attends(config: dict[str, Any], layer: int) -> bool:
    return config["layer_types"][layer] == FULL if "layer_types" in config else layer in config["full_attn_idxs"]


def mlp_width(config: dict[str, Any]) -> int:
    """160 of the published one's 240."""
    return config["intermediate_size"] * 2 // 3 if config["block_auto_adjust_ff_dim"] else config["intermediate_size"]


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {"lfm2": lfm2_layer}
TREES = {"lfm2": Tree(norm="model.embedding_norm")}
TIED_BY_DEFAULT = ("lfm2",)
