"""Qwen3, dense.  https://arxiv.org/abs/2505.09388
Llama, except: RMSNorm on every query and key head before the rotation, head_dim is its own number, and upper layers may have
a sliding window, as in Qwen2."""

from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import rms_norm
from fanlight.models.qwen2 import Config, read_windows
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
}


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=32768, kv_heads=32, head_dim=128)
    return Config(
        **fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6), windows=read_windows(keys, fields["num_hidden_layers"])
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    q, k, v = normed_qkv(config, w, x, table)
    return llama.turn_and_attend(config, w, q, k, v, i, table, window=config.windows[i])


def normed_qkv(config: Any, w: Weights, x: Node, table: Rope | None) -> tuple[Node, Node, Node]:
    """As llama.qkv."""
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (head_norm(config, w[name], table) for name in ("q_norm", "k_norm"))
    q = rms_norm(q, wq, config.rms_norm_eps, config.num_attention_heads)  # [T, H*D]
    k = rms_norm(k, wk, config.rms_norm_eps, config.num_key_value_heads)  # [T, K*D]
    return q, k, v


def head_norm(config: Any, w: Weights, table: Rope | None) -> Node:
    return (w.paired(config.head_dim, table.rotary) if table else w).vector(config.head_dim)  # [D]
