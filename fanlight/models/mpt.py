"""MPT.  https://www.databricks.com/blog/mpt-7b

LayerNorm without biases, no biases anywhere; ALiBi, by a greatest exponent that the file says, which transformers takes for 8;
queries, keys and values that may be clipped."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import clipped
from fanlight.models import gpt2
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import alibi_slopes, attend, embed, layer_norm, linear
from fanlight.models.rope import without_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.norm_f": "output_norm",
    "lm_head": "output",
    "transformer.blocks.{i}.norm_1": "blk.{i}.attn_norm",
    "transformer.blocks.{i}.attn.Wqkv": "blk.{i}.attn_qkv",
    "transformer.blocks.{i}.attn.out_proj": "blk.{i}.attn_output",
    "transformer.blocks.{i}.norm_2": "blk.{i}.ffn_norm",
    "transformer.blocks.{i}.ffn.up_proj": "blk.{i}.ffn_up",
    "transformer.blocks.{i}.ffn.down_proj": "blk.{i}.ffn_down",
}
GGUF_KEYS = {"alibi_bias_max": "attention.max_alibi_bias", "clip_qkv": "attention.clamp_kqv"}
KEYS = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "max_position_embeddings": "max_seq_len",
    "layer_norm_eps": "layer_norm_epsilon",
}
ALWAYS = {"expansion_ratio": 4, "no_bias": True, "logit_scale": None}
ALWAYS_OF_ATTENTION = {"attn_type": "multihead_attention", "alibi": True, "prefix_lm": False, "qk_ln": False}
# What initialises or trains, or says how the original computes the same.
NOT_READ = "learned_pos_emb embedding_fraction init_config verbose tokenizer_name fc_type ffn_config".split()
NOT_READ_OF_ATTENTION = "attn_impl attn_uses_sequence_id".split()


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    alibi_bias_max: float
    clip_qkv: float | None
    softmax_scale: float | None


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    if not keys.is_gguf:
        keys.assume("intermediate_size", 4 * keys.number("hidden_size"))
        for key, value in ALWAYS.items():
            keys.only(key, value)
        keys.choice("norm_type", ("layernorm", "low_precision_layernorm"), "low_precision_layernorm")
        keys.ignore(*NOT_READ)
    fields = read_decoder(keys, longest=2048, is_tied=True, act="gelu", rope=without_rope)
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5), **read_attention(keys))


def read_attention(keys: Keys) -> dict[str, Any]:
    """In folders in an object of its own."""
    of = keys if keys.is_gguf else keys.inner("attn_config") or Keys({}, keys.file)
    for key, value in () if keys.is_gguf else ALWAYS_OF_ATTENTION.items():
        of.only(key, value)
    of.ignore(*NOT_READ_OF_ATTENTION)
    return {
        "alibi_bias_max": of.positive("alibi_bias_max") if keys.is_gguf else of.positive("alibi_bias_max", 8),
        "clip_qkv": of.nonnegative("clip_qkv", 0.0) or None if keys.is_gguf else of.optional_positive("clip_qkv"),
        "softmax_scale": of.optional_positive("softmax_scale"),
    }


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["transformer"]
    x = embed(w["wte"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i in range(config.num_hidden_layers):
        layer = w[f"blocks.{i}"]
        x = x + attention(config, layer["attn"], norm(config, layer["norm_1"], x), i)
        x = x + gpt2.plain_mlp(config, layer["ffn"]["up_proj"], layer["ffn"]["down_proj"], norm(config, layer["norm_2"], x))
    return gpt2.head(config, w["norm_f"], w["wte"] if config.tie_word_embeddings else weights["lm_head"], x, samples, norm)


def norm(config: Config, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), None, config.layer_norm_eps)


def attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    q, k, v = (linear(x, part.biased(False), size) for part in w["Wqkv"].split(size, size, size))  # [T, C]
    if config.clip_qkv:
        q, k, v = (clipped(y, config.clip_qkv) for y in (q, k, v))
    slopes = alibi_slopes(heads, config.alibi_bias_max)
    x = attend(q, k, v, i, heads, heads, scale=config.softmax_scale, slopes=slopes)  # [T, C]
    return linear(x, w["out_proj"].biased(False), size)
