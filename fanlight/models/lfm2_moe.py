"""LFM2 with experts: 8B-A1B, 24B-A2B.  https://arxiv.org/abs/2511.23404
LFM2, except: but for the first layers' MLPs are routed experts, chosen by a sigmoid and a bias."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import lfm2, moe
from fanlight.models.config import Keys
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

PAIRED_IN = ()

INSIDE = "model.layers.{i}.feed_forward"
GGUF_NAMES = {
    **lfm2.GGUF_NAMES,
    f"{INSIDE}.gate": "blk.{i}.ffn_gate_inp",
    f"{INSIDE}.expert_bias": "blk.{i}.exp_probs_b",
    f"{INSIDE}.experts.w1": "blk.{i}.ffn_gate_exps",
    f"{INSIDE}.experts.w3": "blk.{i}.ffn_up_exps",
    f"{INSIDE}.experts.w2": "blk.{i}.ffn_down_exps",
}
GGUF_KEYS = {
    **lfm2.GGUF_KEYS,
    **moe.GGUF_KEYS,
    "num_dense_layers": "leading_dense_block_count",
    "gating": "expert_gating_func",
}
GGUF_LISTS = lfm2.GGUF_LISTS
SIGMOID = 2  # in GGUF


@dataclass(frozen=True, slots=True)
class Config(lfm2.Config):
    moe: Moe
    use_expert_bias: bool
    routed_scaling_factor: float


def read_config(keys: Keys) -> Config:
    fields = lfm2.read_fields(keys, 7168)
    layers, dense = fields["num_hidden_layers"], keys.count("num_dense_layers", 0 if keys.is_gguf else 2)
    normalize = keys.flag("norm_topk_prob", True)
    keys.only("gating", SIGMOID)
    return Config(
        **fields,
        moe=moe.read_moe(keys, layers, normalize, (32, 4, 1792), is_sparse=tuple(i >= dense for i in range(layers))),
        use_expert_bias=keys.flag("use_expert_bias", True),
        routed_scaling_factor=keys.positive("routed_scaling_factor", 1.0),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return lfm2.stack(config, weights, rows, samples, context_length, mlp)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return lfm2.mlp(config, w, x, i)
    names, bias = ("w1", "w3", "w2"), correction(config, w)
    options: dict[str, Any] = {"score": "sigmoid", "scale": config.routed_scaling_factor, "eps": 1e-6, "bias": bias}
    return moe.mlp(config, config.moe, w, x, names=names, **options)


def correction(config: Config, w: Weights) -> Node | None:
    """What is added to scores for the choice. [E]"""
    if not config.use_expert_bias:
        return None
    held, kind = (w["expert_bias"], "bias") if w.is_gguf else (w, "expert_bias")
    return held.vector(config.moe.num_experts, kind)
