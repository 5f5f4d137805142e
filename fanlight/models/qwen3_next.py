"""Qwen3-Next: 80B-A3B.  https://qwen.ai/blog?id=qwen3-next
Qwen3.5 with experts, except: folders have what a gated delta net reads key head by key head."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import delta_net, moe, qwen2_moe
from fanlight.models.config import Keys
from fanlight.models.delta_net import GGUF_LISTS, is_unused
from fanlight.models.layers import linear
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ()

GGUF_NAMES = {
    **delta_net.NAMES,
    **qwen2_moe.EXPERT_NAMES,
    "model.layers.{i}.linear_attn.in_proj_qkvz": "blk.{i}.ssm_in",  # of the first files
    "model.layers.{i}.linear_attn.in_proj_ba": "blk.{i}.ssm_ba",
}
GGUF_KEYS = {**delta_net.GGUF_KEYS, **qwen2_moe.GGUF_KEYS}
SIZES = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
}


@dataclass(frozen=True, slots=True)
class Config(delta_net.Config):
    moe: Moe
    shared_size: int


def read_config(keys: Keys) -> Config:
    fields = delta_net.read_fields(keys, 2, SIZES)
    layers = fields["num_hidden_layers"]
    normalize = keys.is_gguf or keys.flag("norm_topk_prob", True)  # no key of a GGUF file says so: llama.cpp does it
    return Config(
        **fields,
        moe=moe.read_moe(keys, layers, normalize, (512, 10, 512), is_sparse=moe.sparse_layers(keys, layers)),
        shared_size=keys.number("shared_expert_intermediate_size", 512),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return delta_net.stack(config, weights, rows, samples, context_length, inputs, qwen2_moe.mlp, is_dealt=False)


def inputs(config: Config, w: Weights, x: Node) -> tuple[Node, Node, Node, Node]:
    """Of each key head in turn its query and key, then its values, then their gates; and in another matrix, what replacing its
    values hangs on, then what forgetting them does."""
    net = config.net
    each, mixed = net.heads // net.key_heads, w["in_proj_qkvz"]
    if mixed.has():
        qkv, z = unmixed(mixed, net.key_heads, (net.key_dim, net.key_dim, each * net.value_dim), (each * net.value_dim,))
    else:  # in GGUF
        qkv, z = w["in_proj_qkv"], w["in_proj_z"]
    b, a = unmixed(w["in_proj_ba"], net.key_heads, (each,), (each,))
    both = linear(x, qkv, 2 * net.keys + net.values), linear(x, z, net.values)
    return *both, linear(x, a, net.heads), linear(x, b, net.heads)


def unmixed(w: Weights, groups: int, *parts: tuple[int, ...]) -> list[Weights]:
    """Of rows that lie group by group, those of each part: of all groups the first of its pieces, then of all the second."""
    step = sum(map(sum, parts))
    made, before = [], 0
    for sizes in parts:
        ranges = []
        for size in sizes:
            ranges += [(group * step + before, size) for group in range(groups)]
            before += size
        made.append(w.rows(ranges, groups * step))
    return made
