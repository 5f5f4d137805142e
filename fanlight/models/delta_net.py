"""Gated delta nets, which most layers of Qwen3-Next and Qwen3.5 have in place of attention, and gated attention, which the
others have.  https://arxiv.org/abs/2412.06464

Instead of a cache of all tokens, a head keeps one matrix, which forgets by a rate that each token sets, and in which each
token's value replaces what was there for its key. Queries, keys and values come out of a convolution over a few tokens."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError
from fanlight.kernels.expressions import exp, sigmoid, silu, softplus
from fanlight.models import gemma, llama
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL, read_decoder
from fanlight.models.layers import attend, convolve, delta, embed, linear, put_images, rms_norm, rope
from fanlight.models.qwen2_5_vl import PREFIXES, dealt, prefix_of, read_sections, with_axes
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.vision import qwen3 as tower
from fanlight.models.weights import Weights

LINEAR = "linear_attention"
LENGTH_EPS = 1e-6  # beside squared lengths of queries and keys

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.{i}.input_layernorm": "blk.{i}.attn_norm",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    **{f"model.layers.{{i}}.self_attn.{part}_proj": f"blk.{{i}}.attn_{part}" for part in "qkv"},
    "model.layers.{i}.self_attn.o_proj": "blk.{i}.attn_output",
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
    "model.layers.{i}.linear_attn": "blk.{i}",  # of a tensor without a kind
    "model.layers.{i}.linear_attn.in_proj_qkv": "blk.{i}.attn_qkv",
    "model.layers.{i}.linear_attn.in_proj_z": "blk.{i}.attn_gate",
    "model.layers.{i}.linear_attn.conv1d": "blk.{i}.ssm_conv1d",
    "model.layers.{i}.linear_attn.dt_proj": "blk.{i}.ssm_dt",
    "model.layers.{i}.linear_attn.norm": "blk.{i}.ssm_norm",
    "model.layers.{i}.linear_attn.out_proj": "blk.{i}.ssm_out",
}
GGUF_KEYS = {
    "linear_conv_kernel_dim": "ssm.conv_kernel",
    "linear_key_head_dim": "ssm.state_size",
    "linear_num_key_heads": "ssm.group_count",
    "linear_num_value_heads": "ssm.time_step_rank",
    "inner_size": "ssm.inner_size",
    "full_attention_interval": "full_attention_interval",
    "recurrent": "attention.recurrent_layers",
    "mrope_section": "rope.dimension_sections",
    "drafts": "nextn_predict_layers",
}
GGUF_LISTS = ("recurrent", "mrope_section")
MROPE = ("mrope_section", "mrope_interleaved")  # which axis a pair turns by: a text's are all alike
HARMLESS = ("mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "mamba_ssm_dtype")  # drafts'; the state is f32 here


@dataclass(frozen=True, slots=True)
class Net:
    """heads: of values, so many to one of key_heads; taps: of the convolution."""

    heads: int
    key_heads: int
    key_dim: int
    value_dim: int
    taps: int

    @property
    def keys(self) -> int:
        return self.key_heads * self.key_dim

    @property
    def values(self) -> int:
        return self.heads * self.value_dim


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    attends: tuple[bool, ...]  # each layer: or has a gated delta net
    net: Net
    drafts: int  # layers after the last, which only predict ahead
    vision: tower.Vision | None  # where a configuration has one beside it


# --- configuration ---------------------------------------------------------------------------------------------------
def read_nested(keys: Keys, read: Callable[[Keys], Any]) -> Any:
    """read: of the language model's keys, which folders nest where a vision model is beside it."""
    nested = keys.inner("text_config")
    text, vision = nested or keys, keys.inner("vision_config") if nested or keys.is_gguf else None
    if nested and keys.has("tie_word_embeddings"):
        nested.assume("tie_word_embeddings", keys.flag("tie_word_embeddings"))
    config = read(text)
    keys.only("tie_word_embeddings", config.tie_word_embeddings)
    if vision is None:
        return config
    axes = dealt(read_sections(text, (11, 11, 10)), len(config.rope.inv_freq))
    seeing = {"model_type": keys.model_type, "vision": tower.read_config(vision, ())}
    return replace(config, **seeing, rope=with_axes(text, config.rope, axes))


def read_fields(keys: Keys, kv_heads: int, sizes: dict[str, int]) -> dict[str, Any]:
    """sizes: what counts where a config.json has none."""
    sizes = {} if keys.is_gguf else sizes
    fields = read_decoder(keys, longest=32768, kv_heads=kv_heads, head_dim=256, rope=read_table, sizes=sizes)
    drafts, blocks = keys.count("drafts", 0) if keys.is_gguf else 0, fields["num_hidden_layers"]
    if drafts >= blocks:
        raise FormatError(f"{keys.name('drafts')} is {drafts} of {blocks} layers", where=keys.file)
    keys.only("attn_output_gate", True)
    keys.only("output_gate_type", "swish")
    keys.ignore(*HARMLESS)
    return {
        **fields,
        "num_hidden_layers": blocks - drafts,
        "rms_norm_eps": keys.positive("rms_norm_eps", 1e-6),
        "attends": read_attends(keys, blocks)[: blocks - drafts],
        "net": read_net(keys),
        "drafts": drafts,
        "vision": None,
    }


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    for given in (keys, keys.inner("rope_parameters"), keys.inner("rope_scaling")):
        if given:
            given.ignore(*MROPE, "mrope_section_of_layers")
    return read_rope(keys, head_dim, longest, partial=0.25)


def read_attends(keys: Keys, layers: int) -> tuple[bool, ...]:
    """As `layer_types` says; else the last of each turn."""
    interval = keys.number("full_attention_interval", 4)
    if keys.is_gguf:
        keys.ignore("recurrent")
        recurrent = keys.per_layer("recurrent_of_layers", (True, False), layers)
        kinds = tuple(LINEAR if flag else FULL for flag in recurrent) if recurrent else None
    else:
        kinds = keys.per_layer("layer_types", (LINEAR, FULL), layers)
    return tuple(kind == FULL for kind in kinds) if kinds else tuple((i + 1) % interval == 0 for i in range(layers))


def read_net(keys: Keys) -> Net:
    heads, key_heads = keys.number("linear_num_value_heads", 32), keys.number("linear_num_key_heads", 16)
    if heads % key_heads:
        counts = f"{keys.name('linear_num_value_heads')} {heads}", f"{keys.name('linear_num_key_heads')} {key_heads}"
        raise FormatError(f"{counts[0]} is no multiple of {counts[1]}", where=keys.file)
    if keys.is_gguf:
        value_dim, rest = divmod(keys.number("inner_size"), heads)
        if rest or not value_dim:
            raise FormatError(f"{keys.name('inner_size')} is no multiple of {heads} heads", where=keys.file)
    else:
        value_dim = keys.number("linear_value_head_dim", 128)
    key_dim, taps = keys.number("linear_key_head_dim", 128), keys.number("linear_conv_kernel_dim", 4)
    return Net(heads, key_heads, key_dim, value_dim, taps)


def is_unused(config: Config, name: str) -> bool:
    """A vision model's, and those of layers after the last, which only predict ahead."""
    number = re.match(r"blk\.(\d+)\.", name)
    is_draft = number is not None and config.num_hidden_layers <= int(number[1]) < config.num_hidden_layers + config.drafts
    return is_draft or name.startswith(("model.visual.", "visual.", "mtp.", "model.mtp."))


# --- layers ----------------------------------------------------------------------------------------------------------
def stack(
    config: Config, weights: Weights, rows: int, samples: int, context_length: int, inputs: Any, mlp: Any, is_dealt: bool
) -> Node:
    """inputs: of (config, weights, x), what a gated delta net reads of x; see there. mlp: of (config, weights, x, layer).
    is_dealt: whether head h of a GGUF file has key h % key_heads."""
    w, table = weights[prefix_of(weights)], config.rope.at(context_length)
    net = partial(delta_net, inputs=inputs, is_dealt=is_dealt and weights.is_gguf)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = put_images(x) if tower_of(config, weights) else x
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = gemma.norm(config, layer["input_layernorm"], x)
        if config.attends[i]:
            x = x + self_attention(config, layer["self_attn"], y, i, table)
        else:
            x = x + net(config, layer["linear_attn"], y, i)
        x = x + mlp(config, layer["mlp"], gemma.norm(config, layer["post_attention_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples, gemma.norm)


def tower_of(config: Config, weights: Weights) -> Weights | None:
    """Of the encoder of pictures, where a folder has it."""
    w = weights[PREFIXES[prefix_of(weights)]]
    return w if config.vision and w["merger.linear_fc2"].has() else None


def see(config: Config, weights: Weights) -> Node | None:
    """What a picture is to the language model. [R, C]"""
    w = tower_of(config, weights)
    return tower.encode(config.vision, w) if config.vision and w else None


def delta_net(config: Config, w: Weights, x: Node, i: int, inputs: Any, is_dealt: bool) -> Node:
    """inputs gives queries, keys and values [T, 2*keys + values], gates [T, values], and what forgetting and replacing hang
    on, [T, H] each."""
    net = config.net
    qkv, z, a, b = inputs(config, w, x)
    qkv = silu(convolve(qkv, w["conv1d"], i, net.taps))
    decay = exp(
        rates(net, w) * softplus(a + (w["dt_proj"].vector(net.heads, "bias") if w.is_gguf else w.vector(net.heads, "dt_bias")))
    )
    y = delta(qkv, decay, sigmoid(b), i, net.key_heads, net.key_dim, LENGTH_EPS, is_dealt)  # [T, values]
    y = rms_norm(y, w["norm"].vector(net.value_dim), config.rms_norm_eps, net.heads) * silu(z)
    return linear(y, w["out_proj"], config.hidden_size)  # [T, C]


def rates(net: Net, w: Weights) -> Node:
    """Of forgetting, below 0. [H]"""
    return w.vector(net.heads, "ssm_a") if w.is_gguf else -exp(w.vector(net.heads, "A_log"))


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    """As Qwen3's, times the sigmoid of gates, which have their rows behind each head's queries."""
    heads, kv_heads, d = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    both = w["q_proj"].biased(config.attention_bias)
    wq, gates = (both.rows([((2 * h + part) * d, d) for h in range(heads)], 2 * heads * d) for part in (0, 1))
    wk, wv = (w[name].biased(config.attention_bias) for name in ("k_proj", "v_proj"))
    q = head_norm(config, w["q_norm"], linear(x, wq.paired(d, table.rotary), heads * d), heads, table)  # [T, H*D]
    k = head_norm(config, w["k_norm"], linear(x, wk.paired(d, table.rotary), kv_heads * d), kv_heads, table)  # [T, K*D]
    y = attend(rope(q, heads, table), rope(k, kv_heads, table), linear(x, wv, kv_heads * d), i, heads, kv_heads)
    y = y * sigmoid(linear(x, gates, heads * d))  # [T, H*D]
    return linear(y, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def head_norm(config: Config, w: Weights, x: Node, heads: int, table: Rope) -> Node:
    w = w.paired(config.head_dim, table.rotary)
    return rms_norm(x, gemma.plus_one(w, w.vector(config.head_dim)), config.rms_norm_eps, heads)
