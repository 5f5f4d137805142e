"""GPT-J.  https://github.com/kingoflolz/mesh-transformer-jax
One LayerNorm for both branches of a block, which run side by side; some of each head turns; an MLP without a gate; biases of
the MLP and of the head alone."""

from collections.abc import Callable
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import gpt2, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.gpt2 import Config
from fanlight.models.layers import attend, embed, linear, rope
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("safetensors",)

GGUF_NAMES: dict[str, str] = {}  # llama.cpp has none of it

FindQKV = Callable[[Any, Weights], list[Weights]]


def read_config(keys: Keys) -> Config:
    keys.rename(gpt2.KEYS)
    keys.assume("intermediate_size", 4 * keys.number("hidden_size"))
    fields = read_decoder(keys, longest=2048, act="gelu_new", rope=first_of_head)
    keys.only("scale_attn_weights", True)
    keys.only("rotary", True)
    keys.ignore("n_ctx")
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def first_of_head(keys: Keys, head_dim: int, longest: int) -> Rope:
    turning = keys.number("rotary_dim", 64)
    return Rope(tuple(10000.0 ** (-i / turning) for i in range(0, turning, 2)))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return decoder(config, weights, rows, samples, config.rope.at(context_length), qkv_of)


def decoder(config: Config, weights: Weights, rows: int, samples: int, table: Rope, qkv: FindQKV) -> Node:
    """qkv: where a block has these three."""
    w = weights["transformer"]
    x = embed(w["wte"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i in range(config.num_hidden_layers):
        layer, mlp = w[f"h.{i}"], w[f"h.{i}.mlp"]
        y = stablelm.norm(config, layer["ln_1"], x)
        attended = attention(config, layer["attn"], qkv(config, layer["attn"]), y, i, table)
        x = x + attended + gpt2.plain_mlp(config, mlp["fc_in"].biased(True), mlp["fc_out"].biased(True), y)
    table_of_tokens = w["wte"] if config.tie_word_embeddings else weights["lm_head"].biased(True)
    return gpt2.head(config, w["ln_f"], table_of_tokens, x, samples)


def qkv_of(config: Config, w: Weights) -> list[Weights]:
    return [w[name].biased(False) for name in ("q_proj", "k_proj", "v_proj")]


def attention(config: Config, w: Weights, qkv: list[Weights], x: Node, i: int, table: Rope) -> Node:
    heads, size, (wq, wk, wv) = config.num_attention_heads, config.hidden_size, qkv
    q = rope(linear(x, wq.paired(config.head_dim, table.rotary), size), heads, table)  # [T, C]
    k = rope(linear(x, wk.paired(config.head_dim, table.rotary), size), heads, table)  # [T, C]
    return linear(attend(q, k, linear(x, wv, size), i, heads, heads), w["out_proj"].biased(False), size)  # [T, C]
