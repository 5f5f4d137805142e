"""DeepSeek V2 and V2-Lite.  https://arxiv.org/abs/2405.04434
Llama, except: attention is to latent vectors (mla.py), and MLPs are routed experts, but for the first layers', beside one that
every token meets. GGUF calls V3 by the same name."""

import re
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import llama, mla, moe
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.mla import GGUF_KEYS, Config, self_attention
from fanlight.models.rope import LongRope, Rope, read_rope, softmax_scale
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ("gguf", "safetensors")

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **moe.GGUF_NAMES,
    **{f"model.layers.{{i}}.self_attn.{name}": f"blk.{{i}}.{gguf}" for name, gguf in mla.NAMES.items()},
    **{f"model.layers.{{i}}.mlp.shared_experts.{name}": gguf for name, gguf in moe.SHARED_NAMES.items()},
    "model.layers.{i}.mlp.gate.e_score_correction": "blk.{i}.exp_probs_b",
}
# What a config.json may leave out: key -> number
DEFAULTS = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "q_lora_rank": 1536}
DEFAULTS |= {"first_k_dense_replace": 0, "max_position_embeddings": 2048}
TRAINING = ("aux_loss_alpha", "seq_aux", "ep_size", "num_key_value_heads", "head_dim", "qk_head_dim")  # or said by others


def read_config(keys: Keys) -> Config:
    if keys.is_gguf:
        return read_gguf(keys)
    method = keys.choice("topk_method", ("greedy", "group_limited_greedy"), "greedy")
    keys.only("scoring_func", "softmax")
    keys.only("norm_topk_prob", False)  # which the published code divides by, and transformers does not
    groups = read_groups(keys, method != "greedy")
    return read(keys, DEFAULTS, (64, 6, 1407), 2, False, {"scale": keys.positive("routed_scaling_factor", 1.0), **groups})


def read_groups(keys: Keys, are_used: bool, defaults: tuple[int, int] = (1, 1)) -> dict[str, int]:
    n = [keys.optional_number(key, default) or 1 for key, default in zip(("n_group", "topk_group"), defaults, strict=True)]
    return {"groups": n[0], "top_groups": n[1]} if are_used else {}


def read_gguf(keys: Keys) -> Config:
    score = {1: "softmax", 2: "sigmoid"}.get(keys.number("gating", 1))
    if score is None:
        raise UnsupportedModel(f"{keys.name('gating')} is none of 1 and 2", where=keys.file)
    head_dim, turning = keys.number("head_dim"), keys.number("rotary_dim")
    defaults = {"qk_rope_head_dim": turning, "qk_nope_head_dim": head_dim - turning, "first_k_dense_replace": 0}
    defaults |= {"max_position_embeddings": 4096}
    keys.only("key_length", keys.number("kv_lora_rank") + turning)
    keys.only("value_length", keys.number("kv_lora_rank"))
    routing = {"score": score, "scale": keys.positive("routed_scaling_factor", 1.0), **read_groups(keys, True)}
    return read(keys, defaults, (64, 6, 1407), 0, keys.flag("norm_topk_prob", False), routing | {"eps": 1e-20})


def read(
    keys: Keys,
    defaults: dict[str, int],
    sizes: tuple[int, int, int],
    shared: int,
    normalize: bool,
    routing: dict[str, Any],
    eps: float = 1e-6,
) -> Config:
    """sizes: as moe.read_moe's defaults. shared: n_shared_experts. routing: of layers.route, but for the bias."""
    names = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    rank, nope, turning, v_head_dim = (keys.number(name, *[defaults[name]] if name in defaults else []) for name in names)
    if any(size % 8 for size in (rank, nope, turning, v_head_dim)):
        message = f"{', '.join(names)} are {rank}, {nope}, {turning}, {v_head_dim}; expected multiples of 8"
        raise UnsupportedModel(message, where=keys.file)

    def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
        return read_rope(keys, turning, longest)

    fields = read_decoder(
        keys, longest=defaults["max_position_embeddings"], head_dim=turning, rope=read_table, has_values=False
    )
    layers, first = fields["num_hidden_layers"], keys.count("first_k_dense_replace", defaults["first_k_dense_replace"])
    keys.only("moe_layer_freq", 1)
    keys.only("rope_interleave", True)
    keys.ignore(*TRAINING)
    kinds = keys.per_layer("mlp_layer_types", ("dense", "sparse"), layers)
    is_sparse = tuple(kind == "sparse" for kind in kinds) if kinds else tuple(i >= first for i in range(layers))
    made = moe.read_moe(keys, layers, normalize, sizes, is_sparse=is_sparse, count="n_routed_experts")
    if routing.get("groups", 1) > 1 and made.num_experts % routing["groups"]:
        message = f"{keys.name('n_routed_experts')} {made.num_experts} is no multiple of {keys.name('n_group')}"
        raise FormatError(message, where=keys.file)
    return Config(
        **fields | {"head_dim": nope + turning, "num_key_value_heads": 1},
        rms_norm_eps=keys.positive("rms_norm_eps", eps),
        q_lora_rank=keys.optional_number("q_lora_rank", None if keys.is_gguf else defaults["q_lora_rank"]),
        kv_lora_rank=rank,
        nope=nope,
        v_head_dim=v_head_dim,
        scale=(nope + turning) ** -0.5 * softmax_scale(keys),
        moe=made,
        shared_size=(keys.optional_number("n_shared_experts", shared) or 0) * made.intermediate_size,
        routing=routing,
        drafts=keys.count("num_nextn_predict_layers", 0),
    )


def is_unused(config: Config, name: str) -> bool:
    """Layers after the last, which only predict ahead."""
    number = re.match(r"(?:model\.layers|blk)\.(\d+)\.", name)
    return number is not None and config.num_hidden_layers <= int(number[1]) < config.num_hidden_layers + config.drafts


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, mlp)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    gate = w["gate"]
    has_bias = gate["e_score_correction"].has("bias") if w.is_gguf else gate.has("e_score_correction_bias")
    bias = moe.correction(config.moe, w, "gate") if has_bias else None
    y = moe.mlp(config, config.moe, w, x, bias=bias, **config.routing)  # [T, C]
    return y + llama.mlp(config, w["shared_experts"], x, config.shared_size) if config.shared_size else y
