"""LFM2 and LFM2.5, Liquid's.  https://arxiv.org/abs/2511.23404
Qwen3, except: in place of attention most layers have a gated convolution over the last few tokens."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import silu
from fanlight.models import llama, qwen3
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL, Decoder, read_decoder
from fanlight.models.layers import attend, convolve, embed, linear, put_images, rms_norm, rope
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.embedding_norm": "token_embd_norm",
    "model.norm": "output_norm",  # as some files call it
    "lm_head": "output",
    "model.layers.{i}.operator_norm": "blk.{i}.attn_norm",
    "model.layers.{i}.ffn_norm": "blk.{i}.ffn_norm",
    **{f"model.layers.{{i}}.conv.{part}": f"blk.{{i}}.shortconv.{part}" for part in ("in_proj", "conv", "out_proj")},
    **{f"model.layers.{{i}}.self_attn.{part}_proj": f"blk.{{i}}.attn_{part}" for part in "qkv"},
    "model.layers.{i}.self_attn.out_proj": "blk.{i}.attn_output",
    "model.layers.{i}.self_attn.q_layernorm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_layernorm": "blk.{i}.attn_k_norm",
    "model.layers.{i}.feed_forward.w1": "blk.{i}.ffn_gate",
    "model.layers.{i}.feed_forward.w3": "blk.{i}.ffn_up",
    "model.layers.{i}.feed_forward.w2": "blk.{i}.ffn_down",
}
GGUF_KEYS = {"conv_L_cache": "shortconv.l_cache", "norm_eps": "attention.layer_norm_rms_epsilon"}
GGUF_LISTS = ("num_key_value_heads",)


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    attends: tuple[bool, ...]  # each layer: or convolves
    taps: int
    conv_bias: bool


def read_config(keys: Keys) -> Config:
    fields = read_fields(keys, 12288)
    return Config(**{**fields, "intermediate_size": _mlp_width(keys, fields["intermediate_size"])})


def read_fields(keys: Keys, mlp_size: int) -> dict[str, Any]:
    """mlp_size: what counts where the file has none."""
    rope, sizes = partial(read_rope, theta=1e6), {"intermediate_size": mlp_size}
    fields = read_decoder(keys, longest=128000, kv_heads=8, is_tied=True, acts=("silu",), rope=rope, sizes=sizes)
    same = dict.fromkeys(("conv_dim", "conv_dim_out", "block_dim"), fields["hidden_size"])
    same |= {"num_heads": fields["num_attention_heads"], "use_pos_enc": True, "block_use_swiglu": True}
    for name, value in same.items():
        keys.only(name, value)
    keys.ignore("theta", "block_norm_eps")  # which stand elsewhere too
    return {
        **fields,
        "tie_word_embeddings": keys.flag("tie_embedding", fields["tie_word_embeddings"]),
        "rms_norm_eps": keys.positive("norm_eps", 1e-5),
        "attends": read_attends(keys, fields["num_hidden_layers"], fields["num_key_value_heads"]),
        "taps": keys.number("conv_L_cache", 3),
        "conv_bias": keys.flag("conv_bias", False),
    }


def _mlp_width(keys: Keys, given: int) -> int:
    given = keys.number("block_ff_dim", given)
    factor, multiple = keys.optional_positive("block_ffn_dim_multiplier", 1.0), keys.number("block_multiple_of", 256)
    if not keys.flag("block_auto_adjust_ff_dim", not keys.is_gguf):
        return given
    return 2 * given // 3 if factor is None else -(-int(factor * (2 * given // 3)) // multiple) * multiple


def read_attends(keys: Keys, layers: int, kv_heads: int) -> tuple[bool, ...]:
    """As `layer_types` says, else `full_attn_idxs`; in GGUF, those that have key heads."""
    if keys.is_gguf:
        counts = keys.per_layer("num_key_value_heads_of_layers", (0, kv_heads), layers)
        return tuple(count > 0 for count in counts or (kv_heads,) * layers)
    full = keys.indices("full_attn_idxs") if keys.has("full_attn_idxs") else range(layers)
    kinds = keys.per_layer("layer_types", ("conv", FULL), layers)
    return tuple(kind == FULL for kind in kinds) if kinds else tuple(i in full for i in range(layers))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return stack(config, weights, rows, samples, context_length, mlp)


def stack(config: Any, weights: Weights, rows: int, samples: int, context_length: int, mlp: Any, root: Any = None) -> Node:
    """mlp: of (config, weights, x, layer). root: of all but the head, of a model that sees."""
    w, table = root or weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = put_images(x) if root else x
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["operator_norm"], x)
        if config.attends[i]:
            x = x + self_attention(config, layer["self_attn"], y, i, table)
        else:
            x = x + short_convolution(config, layer["conv"], y, i)
        x = x + mlp(config, layer["feed_forward"], llama.norm(config, layer["ffn_norm"], x), i)
    last = "embedding_norm" if w["embedding_norm"].has() else "norm"
    return llama.head(config, w, weights["lm_head"], x, samples, norm_name=last)


def short_convolution(config: Config, w: Weights, x: Node, i: int) -> Node:
    size, has_bias = config.hidden_size, config.conv_bias
    before, after, inner = (linear(x, part, size) for part in w["in_proj"].biased(has_bias).split(size, size, size))
    y = convolve(before * inner, w["conv"], i, config.taps)  # [T, C]
    y = y + w["conv"].vector(size, "bias") if has_bias else y
    return linear(after * y, w["out_proj"].biased(has_bias), size)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (qwen3.head_norm(config, w[name], table) for name in ("q_layernorm", "k_layernorm"))
    q = rope(rms_norm(q, wq, config.rms_norm_eps, heads), heads, table)  # [T, H*D]
    k = rope(rms_norm(k, wk, config.rms_norm_eps, kv_heads), kv_heads, table)  # [T, K*D]
    return linear(attend(q, k, v, i, heads, kv_heads), w["out_proj"].biased(config.output_bias), config.hidden_size)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    gated = silu(linear(x, w["w1"], config.intermediate_size)) * linear(x, w["w3"], config.intermediate_size)  # [T, F]
    return linear(gated, w["w2"], config.hidden_size)  # [T, C]
