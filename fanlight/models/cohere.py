"""Command R and Aya.  https://arxiv.org/abs/2405.15032
Llama, except: LayerNorm without bias, one for both branches of a block, which run side by side; neighbours turn together;
logits are multiplied; in Command R+ every query and key head has a LayerNorm of its own."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, layer_norm
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf", "safetensors")

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    logit_scale: float
    use_qk_norm: bool | None  # None: as the tensors are


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=8192, is_tied=True, rope=partial(read_rope, theta=500000.0))
    return Config(
        **fields,
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
        logit_scale=keys.positive("logit_scale", 1.0 if keys.is_gguf else 0.0625),
        use_qk_norm=keys.optional_flag("use_qk_norm", False),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return stack(config, weights, rows, samples, context_length, self_attention)


def stack(config: Any, weights: Weights, rows: int, samples: int, context_length: int, attention: Any) -> Node:
    """attention: as self_attention."""
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = norm(config, layer["input_layernorm"], x)
        x = x + attention(config, layer["self_attn"], y, i, table) + llama.mlp(config, layer["mlp"], y)
    return llama.head(config, w, weights["lm_head"], x, samples, norm, lambda logits: logits * config.logit_scale)


def norm(config: Any, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), None, config.layer_norm_eps)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    q, k, v = llama.qkv(config, w, x, table)
    if w["q_norm"].has() if config.use_qk_norm is None else config.use_qk_norm:
        q = head_norm(config, w["q_norm"], q, config.num_attention_heads)  # [T, H*D]
        k = head_norm(config, w["k_norm"], k, config.num_key_value_heads)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, v, i, table)


def head_norm(config: Config, w: Weights, x: Node, heads: int) -> Node:
    return layer_norm(x, w.vector_of_heads(heads, config.head_dim), None, config.layer_norm_eps, heads)
