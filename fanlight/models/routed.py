"""Experts as DeepSeek has them, in layers after the first ones: chosen by scores and perhaps a bias, perhaps in groups, with an
MLP beside them that every token meets.  https://arxiv.org/abs/2412.19437"""

import re
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import llama, moe
from fanlight.models.config import Keys
from fanlight.models.moe import Moe
from fanlight.models.weights import Weights

GGUF_NAMES = {
    **moe.GGUF_NAMES,
    **{f"model.layers.{{i}}.mlp.shared_experts.{name}": gguf for name, gguf in moe.SHARED_NAMES.items()},
    "model.layers.{i}.mlp.gate.e_score_correction": "blk.{i}.exp_probs_b",
}
GGUF_KEYS = {
    "n_routed_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "n_shared_experts": "expert_shared_count",
    "first_k_dense_replace": "leading_dense_block_count",
    "routed_scaling_factor": "expert_weights_scale",
    "norm_topk_prob": "expert_weights_norm",
    "gating": "expert_gating_func",
    "n_group": "expert_group_count",
    "topk_group": "expert_group_used_count",
    "num_nextn_predict_layers": "nextn_predict_layers",
}
GATINGS = {1: "softmax", 2: "sigmoid"}  # of a GGUF file's number


def read_groups(keys: Keys, are_used: bool, defaults: tuple[int, int] = (1, 1)) -> dict[str, int]:
    n = [keys.optional_number(key, default) or 1 for key, default in zip(("n_group", "topk_group"), defaults, strict=True)]
    return {"groups": n[0], "top_groups": n[1]} if are_used else {}


def read_gguf_routing(keys: Keys, gating: int) -> dict[str, Any]:
    """gating: where the file has none."""
    score = GATINGS.get(keys.number("gating", gating))
    if score is None:
        raise UnsupportedModel(f"{keys.name('gating')} is none of 1 and 2", where=keys.file)
    return {"score": score, "scale": keys.positive("routed_scaling_factor", 1.0), "eps": 1e-20, **read_groups(keys, True)}


def read_routed(
    keys: Keys,
    layers: int,
    first: int,
    sizes: tuple[int, int, int] | None,
    shared: int,
    normalize: bool,
    routing: dict[str, Any],
) -> dict[str, Any]:
    """Fields of a Config. first, shared: first_k_dense_replace and n_shared_experts, where the file has none. sizes: as
    moe.read_moe's defaults; None: there are no experts. routing: of layers.route, but for the bias."""
    drafts, none = keys.count("num_nextn_predict_layers", 0), Moe(0, 0, 0, normalize, (False,) * layers)
    first = layers if sizes is None else keys.count("first_k_dense_replace", first)
    if sizes is None or (keys.is_gguf and first >= layers and not keys.has("n_routed_experts")):
        if keys.is_gguf:  # whose converter writes these all the same
            keys.ignore("num_experts_per_tok", "moe_intermediate_size", "n_shared_experts")
        return {"moe": none, "shared_size": 0, "routing": routing, "drafts": drafts}
    kinds = keys.per_layer("mlp_layer_types", ("dense", "sparse"), layers)
    is_sparse = tuple(kind == "sparse" for kind in kinds) if kinds else tuple(i >= first for i in range(layers))
    made = moe.read_moe(keys, layers, normalize, sizes, is_sparse=is_sparse, count="n_routed_experts")
    if routing.get("groups", 1) > 1 and made.num_experts % routing["groups"]:
        message = f"{keys.name('n_routed_experts')} {made.num_experts} is no multiple of {keys.name('n_group')}"
        raise FormatError(message, where=keys.file)
    shared = (keys.optional_number("n_shared_experts", shared) or 0) * made.intermediate_size
    return {"moe": made, "shared_size": shared, "routing": routing, "drafts": drafts}


def is_unused(config: Any, name: str) -> bool:
    """Layers after the last, which only predict ahead."""
    number = re.match(r"(?:model\.layers|blk)\.(\d+)\.", name)
    return number is not None and config.num_hidden_layers <= int(number[1]) < config.num_hidden_layers + config.drafts


def mlp(config: Any, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    gate = w["gate"]
    has_bias = gate["e_score_correction"].has("bias") if w.is_gguf else gate.has("e_score_correction_bias")
    bias = moe.correction(config.moe, w, "gate") if has_bias else None
    y = moe.mlp(config, config.moe, w, x, bias=bias, **config.routing)  # [T, C]
    return y + llama.mlp(config, w["shared_experts"], x, config.shared_size) if config.shared_size else y
