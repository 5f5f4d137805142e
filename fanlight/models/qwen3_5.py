"""Qwen3.5, dense: 0.8B to 27B.  https://qwen.ai/blog?id=qwen3.5
Qwen3, except: three layers of four have a gated delta net in place of attention (delta_net.py), attention has gates, a quarter
of a head turns, and norms multiply by 1 + weight. Pictures are Qwen3-VL's (vision/qwen3.py); with their
encoder beside it, the language model is nested in `text_config`."""

from fanlight.compiler.graph import Node
from fanlight.models import delta_net, llama
from fanlight.models.config import Keys
from fanlight.models.delta_net import GGUF_KEYS, GGUF_LISTS, Config, is_unused, see
from fanlight.models.layers import linear
from fanlight.models.vision import qwen3 as tower
from fanlight.models.vision.qwen2_5 import gguf_names
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config", "see"]

PAIRED_IN = ()

NAMES = {
    **delta_net.NAMES,
    "model.layers.{i}.linear_attn.in_proj_a": "blk.{i}.ssm_alpha",
    "model.layers.{i}.linear_attn.in_proj_b": "blk.{i}.ssm_beta",
    **gguf_names(tower.INSIDE),
}
GGUF_NAMES = {**NAMES, **{name: gguf for name, gguf in llama.GGUF_NAMES.items() if ".mlp." in name}}
SIZES = {
    "vocab_size": 248320,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
}


def read_config(keys: Keys) -> Config:
    return delta_net.read_nested(keys, read_text)


def read_text(keys: Keys) -> Config:
    keys.ignore("mlp_only_layers")  # which published files have, and there are no others here
    return Config(**delta_net.read_fields(keys, 4, SIZES))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return delta_net.stack(config, weights, rows, samples, context_length, inputs, mlp, is_dealt=True)


def inputs(config: Config, w: Weights, x: Node) -> tuple[Node, Node, Node, Node]:
    net = config.net
    qkv, z = linear(x, w["in_proj_qkv"], 2 * net.keys + net.values), linear(x, w["in_proj_z"], net.values)
    return qkv, z, linear(x, w["in_proj_a"], net.heads), linear(x, w["in_proj_b"], net.heads)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    return llama.mlp(config, w, x)
