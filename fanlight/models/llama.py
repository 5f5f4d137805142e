"""Llama 2 and 3, and what is built the same way: SmolLM2, TinyLlama, Falcon 3.  https://arxiv.org/abs/2302.13971

Pre-norm decoder: grouped-query attention with rotary positions, then a SwiGLU MLP, each added to the residual stream.
Shape letters as in layers.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, finish_rows, linear, put_images, rms_norm, rope, sample, sampled_rows
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)  # files whose rotary pairs lie side by side

GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.{i}.input_layernorm": "blk.{i}.attn_norm",
    "model.layers.{i}.self_attn.q_proj": "blk.{i}.attn_q",
    "model.layers.{i}.self_attn.k_proj": "blk.{i}.attn_k",
    "model.layers.{i}.self_attn.v_proj": "blk.{i}.attn_v",
    "model.layers.{i}.self_attn.o_proj": "blk.{i}.attn_output",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.ffn_norm",
    "model.layers.{i}.mlp.gate_proj": "blk.{i}.ffn_gate",
    "model.layers.{i}.mlp.up_proj": "blk.{i}.ffn_up",
    "model.layers.{i}.mlp.down_proj": "blk.{i}.ffn_down",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    return Config(**read_decoder(keys, longest=2048), rms_norm_eps=keys.positive("rms_norm_eps", 1e-6))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    """The step's root: sampled ids [B], or the end of a step that samples nothing."""
    return stack(config, weights, rows, samples, context_length, self_attention)


def stack(
    config: Any,
    weights: Weights,
    rows: int,
    samples: int,
    context_length: int,
    attention: Any,
    mlp: Any = None,
    mlp_name: str = "mlp",
    root: Weights | None = None,
    sees: int = 0,
    after: Callable[[Node, int], Node] | None = None,
) -> Node:
    """attention: as self_attention. mlp: of (config, weights, x, layer), the weights under mlp_name. root: of all but the head,
    where it is not `model`. sees: in how many parts pictures' rows are kept. after: of (x, layer), what follows it."""
    compute = mlp or _dense
    w, table = root or weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = put_images(x, 0, sees) if sees else x
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + attention(config, layer["self_attn"], norm(config, layer["input_layernorm"], x), i, table)
        x = x + compute(config, layer[mlp_name], norm(config, layer["post_attention_layernorm"], x), i)
        x = after(x, i) if after else x
    return head(config, w, weights["lm_head"], x, samples)


def _dense(config: Any, w: Weights, x: Node, i: int) -> Node:
    return mlp(config, w, x)


def norm(config: Any, w: Weights, x: Node) -> Node:
    return rms_norm(x, w.vector(config.hidden_size), config.rms_norm_eps)


def self_attention(config: Decoder, w: Weights, x: Node, i: int, table: Rope | None, **options: Any) -> Node:
    """table: None where positions turn nothing. options: of layers.attend."""
    return turn_and_attend(config, w, *qkv(config, w, x, table), i, table, **options)


def qkv(config: Decoder, w: Weights, x: Node, table: Rope | None) -> tuple[Node, Node, Node]:
    """[T, H*D], [T, K*D], [T, K*D]; q and k ready to be turned."""
    head_dim, kv_size = config.head_dim, config.num_key_value_heads * config.head_dim
    wq, wk, wv = (w[name].biased(config.attention_bias) for name in ("q_proj", "k_proj", "v_proj"))
    if table:
        wq, wk = wq.paired(head_dim, table.rotary), wk.paired(head_dim, table.rotary)
    return linear(x, wq, config.num_attention_heads * head_dim), linear(x, wk, kv_size), linear(x, wv, kv_size)


def turn_and_attend(config: Decoder, w: Weights, q: Node, k: Node, v: Node, i: int, table: Rope | None, **options: Any) -> Node:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    if table:
        q, k = rope(q, heads, table), rope(k, kv_heads, table)
    x = attend(q, k, v, i, heads, kv_heads, **options)  # [T, H*D]
    return linear(x, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def mlp(config: Decoder, w: Weights, x: Node, size: int | None = None) -> Node:
    """size: F, where it is not intermediate_size."""
    gate, up, down = (w[name].biased(config.mlp_bias) for name in ("gate_proj", "up_proj", "down_proj"))
    size = size or config.intermediate_size
    gated = ACTIVATIONS[config.hidden_act](linear(x, gate, size))  # [T, F]
    return linear(gated * linear(x, up, size), down, config.hidden_size)  # [T, C]


def head(
    config: Any,
    w: Weights,
    lm_head: Weights,
    x: Node,
    samples: int,
    norm: Any = norm,
    finish: Any = None,
    norm_name: str = "norm",
) -> Node:
    """w: the model's. norm: the last one, whose weights are under norm_name. finish: what is done to the logits."""
    if not samples:
        return finish_rows(x)
    x = norm(config, w[norm_name], sampled_rows(x, samples))  # [B, C]
    logits = linear(x, w["embed_tokens"] if config.tie_word_embeddings else lm_head, config.vocab_size)  # [B, V]
    return sample(finish(logits) if finish else logits)  # [B]
