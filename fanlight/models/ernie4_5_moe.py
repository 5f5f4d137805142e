"""ERNIE 4.5 with experts: 21B-A3B.  https://yiyan.baidu.com/blog/publication/ERNIE_Technical_Report.pdf
ERNIE 4.5, except: from some layer on MLPs are routed experts, chosen by their scores and a bias, and beside them an MLP that
every token meets."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import ernie4_5, llama, moe
from fanlight.models.config import Keys
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf", "safetensors")

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **moe.GGUF_NAMES,
    "model.layers.{i}.mlp.moe_statics.e_score_correction": "blk.{i}.exp_probs_b",
    **{f"model.layers.{{i}}.mlp.shared_experts.{name}": gguf for name, gguf in moe.SHARED_NAMES.items()},
}
GGUF_KEYS = {
    "moe_num_experts": "expert_count",
    "moe_k": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "moe_num_shared_experts": "expert_shared_count",
    "moe_shared_size": "expert_shared_feed_forward_length",
    "moe_layer_start_index": "leading_dense_block_count",
    "moe_layer_interval": "interleave_moe_layer_step",
}


@dataclass(frozen=True, slots=True)
class Config(ernie4_5.Config):
    moe: Moe
    shared_size: int  # 0: there is no such MLP


def read_config(keys: Keys) -> Config:
    keys.only("moe_gate", "topk")
    fields = ernie4_5.read_fields(keys, 4, None)
    layers = fields["num_hidden_layers"]
    step, first = keys.number("moe_layer_interval", 1), keys.count("moe_layer_start_index", 0 if keys.is_gguf else 1)
    last = keys.last("moe_layer_end_index", layers)
    is_sparse = tuple((i + 1) % step == 0 and first <= i <= last for i in range(layers))
    keys.ignore("moe_capacity", "moe_use_aux_free", "moe_norm_min")  # of training, and what no sum of shares comes near
    names = {"count": "moe_num_experts", "top_k": "moe_k"}
    made = moe.read_moe(keys, layers, True, (64, 6, 1536), is_sparse=is_sparse, **names)
    shared = keys.count("moe_num_shared_experts", 2) * made.intermediate_size
    shared = keys.number("moe_shared_size", shared) if keys.is_gguf and shared else shared
    return Config(**fields, moe=made, shared_size=shared)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, llama.self_attention, mlp)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    y = moe.mlp(config, config.moe, w, x, bias=moe.correction(config.moe, w, "moe_statics"))  # [T, C]
    return y + llama.mlp(config, w["shared_experts"], x, config.shared_size) if config.shared_size else y
