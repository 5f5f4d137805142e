"""Qwen3, dense.  https://arxiv.org/abs/2505.09388
Llama, except: RMSNorm on every query and key head before the rotation, and head_dim is its own number."""

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Config
from fanlight.models.layers import head_norm, linear
from fanlight.models.weights import Weights

GGUF_INTERLEAVED = False

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
}


def forward(config: Config, weights: Weights, rows: int, samples: int) -> Node:
    return llama.forward(config, weights, rows, samples, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    q = head_norm(linear(x, w["q_proj"]), w["q_norm"], config.num_attention_heads, config.rms_norm_eps)  # [T, H*D]
    k = head_norm(linear(x, w["k_proj"]), w["k_norm"], config.num_key_value_heads, config.rms_norm_eps)  # [T, K*D]
    v = linear(x, w["v_proj"])  # [T, K*D]
    return linear(llama.rotate_and_attend(config, q, k, v, i), w["o_proj"])
