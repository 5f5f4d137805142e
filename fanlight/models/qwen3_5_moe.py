"""Qwen3.5 with experts: 35B-A3B, 122B-A10B, 397B-A17B.  https://qwen.ai/blog?id=qwen3.5
Qwen3.5, except: MLPs are routed experts, and beside them one that every token meets, times a number for each token. Folders
have each layer's experts in two tensors, or each by itself."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import delta_net, moe, qwen2_moe, qwen3_5
from fanlight.models.config import Keys
from fanlight.models.delta_net import GGUF_LISTS, is_unused, see
from fanlight.models.layers import linear, route
from fanlight.models.moe import Moe
from fanlight.models.qwen3_5 import PAIRED_IN, inputs
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config", "see"]

GGUF_NAMES = {**qwen3_5.NAMES, **qwen2_moe.EXPERT_NAMES}
GGUF_KEYS = {**delta_net.GGUF_KEYS, **qwen2_moe.GGUF_KEYS}
SIZES = {"vocab_size": 248320, "hidden_size": 2048, "num_hidden_layers": 40, "num_attention_heads": 16}


@dataclass(frozen=True, slots=True)
class Config(delta_net.Config):
    moe: Moe
    shared_size: int


def read_config(keys: Keys) -> Config:
    return delta_net.read_nested(keys, read_text)


def read_text(keys: Keys) -> Config:
    keys.assume("intermediate_size", keys.number("moe_intermediate_size", 512))  # no layer has an MLP of its own width
    fields = delta_net.read_fields(keys, 2, SIZES)
    made = moe.read_moe(keys, fields["num_hidden_layers"], True, (256, 8, 512))
    keys.only("mlp_only_layers", [])
    keys.only("norm_topk_prob", True)
    return Config(**fields, moe=made, shared_size=keys.number("shared_expert_intermediate_size", 512))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return delta_net.stack(config, weights, rows, samples, context_length, inputs, mlp, is_dealt=True)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    of, size = w["experts"], config.moe.intermediate_size
    if not of.has("gate_up_proj"):
        return moe.mlp(config, config.moe, w, x) + qwen2_moe.shared_expert(config, w, x)
    chosen = route(linear(x, w["gate"], config.moe.num_experts), config.moe.num_experts_per_tok)  # [T, 2k]
    gate, up = of.called("gate_up_proj").split(size, size)
    y = moe.gated(config, config.moe, chosen, x, gate, up, of.called("down_proj"))
    return y + qwen2_moe.shared_expert(config, w, x)  # [T, C]
