"""DeepSeek V2 and V2-Lite.  https://arxiv.org/abs/2405.04434
Llama, except: keys and values of all heads are made of one short vector (MLA), of which some more columns, which turn, are
every head's; and MLPs are routed experts, but for the first layers', beside one that every token meets.

Folders have one matrix for keys and values, which are kept as any others are. GGUF files have one for each head and purpose,
and what is kept is the short vector: queries go into its space, and results come from there. GGUF calls V3 by the same name."""

import re
from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import llama, moe
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, columns, linear, of_heads, pick, rms_norm, rope
from fanlight.models.moe import Moe
from fanlight.models.rope import LongRope, Rope, read_rope, softmax_scale
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf", "safetensors")

ATTENTION = {
    "q_a_proj": "attn_q_a",
    "q_a_layernorm": "attn_q_a_norm",
    "q_b_proj": "attn_q_b",
    "kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "kv_a_layernorm": "attn_kv_a_norm",
    "kv_b_proj": "attn_kv_b",
    "k_b_proj": "attn_k_b",
    "v_b_proj": "attn_v_b",
}
GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **moe.GGUF_NAMES,
    **{f"model.layers.{{i}}.self_attn.{name}": f"blk.{{i}}.{gguf}" for name, gguf in ATTENTION.items()},
    **{f"model.layers.{{i}}.mlp.shared_experts.{name}": gguf for name, gguf in moe.SHARED_NAMES.items()},
    "model.layers.{i}.mlp.gate.e_score_correction": "blk.{i}.exp_probs_b",
}
GGUF_KEYS = {
    "head_dim": "attention.key_length_mla",
    "v_head_dim": "attention.value_length_mla",
    "key_length": "attention.key_length",
    "value_length": "attention.value_length",
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
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
}
MOST_HEADS = 64  # that a router chooses
# What a config.json may leave out: key -> number
DEFAULTS = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "q_lora_rank": 1536}
DEFAULTS |= {"first_k_dense_replace": 0}
TRAINING = ("aux_loss_alpha", "seq_aux", "ep_size", "num_key_value_heads", "head_dim", "qk_head_dim")  # or said by others


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    q_lora_rank: int | None  # None: queries are made at once
    kv_lora_rank: int  # R
    nope: int  # columns of a head's query and key that do not turn
    v_head_dim: int
    scale: float  # of scores
    moe: Moe
    shared_size: int  # 0: there is no such MLP
    routing: dict[str, Any]  # of layers.route
    drafts: int  # layers after the last that only predict ahead, and are not run

    @property
    def turning(self) -> int:
        return self.head_dim - self.nope


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

    fields = read_decoder(keys, longest=4096, head_dim=turning, rope=read_table, has_values=False)
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


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, rank = config.num_attention_heads, config.kv_lora_rank
    both = linear(x, w["kv_a_proj_with_mqa"].biased(config.attention_bias), rank + config.turning)  # [T, R+P]
    c = rms_norm(columns(both, 0, rank), w["kv_a_layernorm"].vector(rank), config.rms_norm_eps)  # [T, R]
    shared = rope(columns(both, rank, config.turning), 1, table)  # [T, P]
    q = queries(config, w, x)  # [T, H*D]
    turning, rest = (pick(q, part) for part in parts_of_heads(heads, config.nope, config.turning)[::-1])
    turning = rope(turning, heads, table)  # [T, H*P]
    if w["k_b_proj"].has():
        y = in_latent_space(config, w, turning, rest, c, shared, i)
    else:
        kv = linear(c, w["kv_b_proj"], heads * (config.nope + config.v_head_dim))  # [T, H*(N+V)]
        of_k, of_v = parts_of_heads(heads, config.nope, config.v_head_dim)
        behind = [config.turning + column for column in of_k]  # the shared columns
        k = pick(shared, beside([*range(config.turning)] * heads, behind, heads), kv)  # [T, H*D]
        q = pick(turning, side_by_side(heads, config.turning, config.nope), rest)  # [T, H*D]
        y = attend(q, k, pick(kv, of_v), i, heads, heads, scale=config.scale)  # [T, H*V]
    return linear(y, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def queries(config: Config, w: Weights, x: Node) -> Node:
    size = config.num_attention_heads * config.head_dim
    if config.q_lora_rank is None:
        return linear(x, w["q_proj"], size)
    y = linear(x, w["q_a_proj"].biased(config.attention_bias), config.q_lora_rank)
    y = rms_norm(y, w["q_a_layernorm"].vector(config.q_lora_rank), config.rms_norm_eps)
    return linear(y, w["q_b_proj"], size)


def in_latent_space(config: Config, w: Weights, turning: Node, rest: Node, c: Node, shared: Node, i: int) -> Node:
    """Attention to the short vectors themselves, which stand for every head's key and value. [T, H*V]"""
    heads, rank = config.num_attention_heads, config.kv_lora_rank
    if heads > MOST_HEADS:
        raise UnsupportedModel(f"{heads} heads, each with a matrix of its own; at most {MOST_HEADS} are read", where=w.name)
    latent = of_heads(rest, w["k_b_proj"], heads, rank)  # [T, H*R]
    q = pick(latent, side_by_side(heads, rank, config.turning), turning)  # [T, H*(R+P)]
    k = pick(c, range(rank + config.turning), shared)  # [T, R+P]
    y = attend(q, k, c, i, heads, 1, scale=config.scale)  # [T, H*R]
    return of_heads(y, w["v_b_proj"], heads, config.v_head_dim)


def parts_of_heads(heads: int, first: int, second: int) -> tuple[list[int], list[int]]:
    """Columns of the first and the second parts of all heads."""
    size = first + second
    return (
        [head * size + i for head in range(heads) for i in range(first)],
        [head * size + first + i for head in range(heads) for i in range(second)],
    )


def side_by_side(heads: int, first: int, second: int) -> list[int]:
    """Head by head, of two values one after the other."""
    return beside(range(heads * first), range(heads * first, heads * (first + second)), heads)


def beside(first: Any, second: Any, heads: int) -> list[int]:
    n, m = len(first) // heads, len(second) // heads
    return [i for h in range(heads) for i in (*first[h * n : (h + 1) * n], *second[h * m : (h + 1) * m])]


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    gate = w["gate"]
    has_bias = gate["e_score_correction"].has("bias") if w.is_gguf else gate.has("e_score_correction_bias")
    bias = moe.correction(config.moe, w, "gate") if has_bias else None
    y = moe.mlp(config, config.moe, w, x, bias=bias, **config.routing)  # [T, C]
    return y + llama.mlp(config, w["shared_experts"], x, config.shared_size) if config.shared_size else y
