"""Qwen1.5 and Qwen2 with experts: Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B.  https://arxiv.org/abs/2407.10671
Qwen2, except: most layers' MLPs are routed experts, whose shares do not add up to 1, and beside them an MLP that every token
meets, times a number for each token."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama, moe
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import gated_rows, linear
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

PAIRED_IN = ()

EXPERT_NAMES = {
    **moe.GGUF_NAMES,
    **{f"model.layers.{{i}}.mlp.shared_expert.{name}": gguf for name, gguf in moe.SHARED_NAMES.items()},
    "model.layers.{i}.mlp.shared_expert_gate": "blk.{i}.ffn_gate_inp_shexp",
}
GGUF_NAMES = {**{name: gguf for name, gguf in llama.GGUF_NAMES.items() if ".mlp." not in name}, **EXPERT_NAMES}
GGUF_KEYS = {**moe.GGUF_KEYS, "shared_expert_intermediate_size": "expert_shared_feed_forward_length"}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    moe: Moe
    shared_size: int


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=32768, kv_heads=16)
    layers = fields["num_hidden_layers"]
    if not keys.is_gguf:
        fields |= {"attention_bias": keys.flag("qkv_bias", True), "output_bias": False}
    keys.only("use_sliding_window", False)
    keys.ignore("sliding_window", "max_window_layers")
    normalize = not keys.is_gguf and keys.flag("norm_topk_prob", False)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        moe=moe.read_moe(keys, layers, normalize, (60, 4, 1408), is_sparse=moe.sparse_layers(keys, layers)),
        shared_size=keys.number("shared_expert_intermediate_size", fields["intermediate_size"] if keys.is_gguf else 5632),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, llama.self_attention, mlp)


def mlp(config: Any, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    return moe.mlp(config, config.moe, w, x) + shared_expert(config, w, x)  # [T, C]


def shared_expert(config: Any, w: Weights, x: Node) -> Node:
    """The MLP that every token meets."""
    shared = llama.mlp(config, w["shared_expert"], x, config.shared_size)  # [T, C]
    return gated_rows(shared, linear(x, w["shared_expert_gate"], 1))  # [T, C]
