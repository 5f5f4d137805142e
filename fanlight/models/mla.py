"""Attention to one short vector of a token, of which keys and values of all heads are made, and some more columns, which turn
and are every head's (MLA).  https://arxiv.org/abs/2405.04434

Folders have one matrix for keys and values, which are kept as any others are. GGUF files have one for each head and purpose,
and what is kept is the short vector: queries go into its space, and results come from there."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.models import routed
from fanlight.models.decoder import Decoder
from fanlight.models.layers import attend, columns, linear, of_heads, pick, rms_norm, rope
from fanlight.models.moe import Moe
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

NAMES = {
    "q_a_proj": "attn_q_a",
    "q_a_layernorm": "attn_q_a_norm",
    "q_b_proj": "attn_q_b",
    "kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "kv_a_layernorm": "attn_kv_a_norm",
    "kv_b_proj": "attn_kv_b",
    "k_b_proj": "attn_k_b",
    "v_b_proj": "attn_v_b",
}
GGUF_KEYS = {
    "head_dim": "attention.key_length_mla",
    "v_head_dim": "attention.value_length_mla",
    "key_length": "attention.key_length",
    "value_length": "attention.value_length",
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
    **routed.GGUF_KEYS,
}
MOST_HEADS = 64  # that a router chooses


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
