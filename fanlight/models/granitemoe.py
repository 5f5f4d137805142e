"""Granite 3's models with experts: 1B-A400M, 3B-A800M.  https://arxiv.org/abs/2408.13359
Granite, except: every layer's MLP is routed experts, whose gates and ups are one tensor."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import granite, moe
from fanlight.models.config import Keys
from fanlight.models.layers import linear, route
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)

GGUF_NAMES = {
    **granite.GGUF_NAMES,
    "model.layers.{i}.block_sparse_moe.router.layer": "blk.{i}.ffn_gate_inp",
    "model.layers.{i}.block_sparse_moe.gate": "blk.{i}.ffn_gate_exps",
    "model.layers.{i}.block_sparse_moe.up": "blk.{i}.ffn_up_exps",
    "model.layers.{i}.block_sparse_moe.output_linear": "blk.{i}.ffn_down_exps",
}
GGUF_KEYS = {**granite.GGUF_KEYS, **moe.COUNTS}


@dataclass(frozen=True, slots=True)
class Config(granite.Config):
    moe: Moe


def read_config(keys: Keys) -> Config:
    fields = granite.read_fields(keys)
    return Config(**fields, moe=moe.read_moe(keys, fields["num_hidden_layers"], True, (8, 2, 11008), "intermediate_size"))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return granite.stack(config, weights, rows, samples, context_length, mlp)


def mlp(config: Any, layer: Weights, x: Node) -> Node:
    w, size = layer["block_sparse_moe"], config.moe.intermediate_size
    chosen = route(linear(x, w["router"]["layer"], config.moe.num_experts), config.moe.num_experts_per_tok)
    both = w["input_linear"]
    gate, up = (w["gate"], w["up"]) if w.is_gguf else both.split(size, size)
    return moe.gated(config, config.moe, chosen, x, gate, up, w["output_linear"])
