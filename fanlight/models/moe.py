"""A layer's experts in place of its MLP: a router chooses a few of many small MLPs for each token, whose results are added up
by their shares.  https://arxiv.org/abs/2101.03961, https://arxiv.org/abs/2401.04088"""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import experts, experts_sum, linear, route
from fanlight.models.weights import Weights

# config.json's key -> GGUF's
COUNTS = {"num_experts": "expert_count", "num_experts_per_tok": "expert_used_count"}
GGUF_KEYS = {**COUNTS, "moe_intermediate_size": "expert_feed_forward_length"}
GGUF_NAMES = {
    "model.layers.{i}.mlp.gate": "blk.{i}.ffn_gate_inp",
    "model.layers.{i}.mlp.experts.gate_proj": "blk.{i}.ffn_gate_exps",
    "model.layers.{i}.mlp.experts.up_proj": "blk.{i}.ffn_up_exps",
    "model.layers.{i}.mlp.experts.down_proj": "blk.{i}.ffn_down_exps",
}
# Of an MLP beside them that every token meets.
SHARED_NAMES = {
    "gate_proj": "blk.{i}.ffn_gate_shexp",
    "up_proj": "blk.{i}.ffn_up_shexp",
    "down_proj": "blk.{i}.ffn_down_shexp",
}
WHOLE = 32  # elements that kernels take at a time, of one expert


@dataclass(frozen=True, slots=True)
class Moe:
    """num_experts_per_tok: of num_experts, that a token meets. norm_topk_prob: whether their shares add up to 1. is_sparse: of
    each layer, whether it has experts at all."""

    num_experts: int
    num_experts_per_tok: int
    intermediate_size: int  # of one
    norm_topk_prob: bool
    is_sparse: tuple[bool, ...]


def read_moe(
    keys: Keys,
    layers: int,
    normalize: bool,
    defaults: tuple[int, int, int],
    size: str = "moe_intermediate_size",
    is_sparse: tuple[bool, ...] | None = None,
    count: str = "",
    top_k: str = "num_experts_per_tok",
) -> Moe:
    """normalize: norm_topk_prob. defaults: how many there are, how many of them a token meets, and how wide one is, where a
    config.json does not say. size: the key of the last; count, top_k: of the others. is_sparse: None for all."""
    # As transformers 5 writes it, or before.
    count = count or ("num_local_experts" if keys.has("num_local_experts") else "num_experts")
    experts, chosen = keys.number(count, defaults[0]), keys.number(top_k, defaults[1])
    width = keys.number(size, defaults[2])
    if chosen > experts:
        message = f"{keys.name(top_k)} is {chosen}, and there are {keys.name(count)} {experts}"
        raise FormatError(message, where=keys.file)
    return Moe(experts, chosen, width, normalize, is_sparse or (True,) * layers)


def sparse_layers(keys: Keys, layers: int) -> tuple[bool, ...]:
    """One in decoder_sparse_step, the last of each turn, but those of mlp_only_layers."""
    step, dense = keys.count("decoder_sparse_step", 1), keys.indices("mlp_only_layers")
    return tuple(step > 0 and (i + 1) % step == 0 and i not in dense for i in range(layers))


def mlp(
    config: Any,
    moe: Moe,
    w: Weights,
    x: Node,
    router: str = "gate",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
    **options: Any,
) -> Node:
    """router, names: of the weights, the latter under 'experts'. options: of layers.route. [T, C] -> [T, C]"""
    logits = linear(x, w[router], moe.num_experts)  # [T, E]
    chosen = route(logits, moe.num_experts_per_tok, normalize=moe.norm_topk_prob, **options)  # [T, 2k]
    gate, up, down = (w["experts"][name] for name in names)
    return gated(config, moe, chosen, x, gate, up, down)


def correction(moe: Moe, w: Weights, holder: str) -> Node:
    """What is added to scores for the choice. holder: of the weights, in folders. [E]"""
    if w.is_gguf:
        return w[holder]["e_score_correction"].vector(moe.num_experts, "bias")
    return w[holder].vector(moe.num_experts, "e_score_correction_bias", [(1, moe.num_experts)])


def check_size(size: int, where: str) -> None:
    if size % WHOLE:
        raise UnsupportedModel(f"experts are {size} wide; expected a multiple of {WHOLE}", where=where)


def gated(config: Any, moe: Moe, chosen: Node, x: Node, gate: Weights, up: Weights, down: Weights) -> Node:
    size = moe.intermediate_size
    check_size(size, down.name)
    h = ACTIVATIONS[config.hidden_act](experts(x, chosen, gate, size)) * experts(x, chosen, up, size)  # [T, k*F]
    return experts_sum(h, chosen, down, config.hidden_size)  # [T, C]
