"""Phi-3, Phi-3.5 and Phi-4, with Phi-4-mini.  https://arxiv.org/abs/2404.14219
Llama, except: q, k and v are one matrix, gate and up another; frequencies are rescaled for long contexts by LongRoPE; in
Phi-4-mini only the first three quarters of a head turn."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, linear
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.qkv_proj": "blk.{i}.attn_qkv",
    "model.layers.{i}.mlp.gate_up_proj": "blk.{i}.ffn_up",
}
OLD_NAMES = {"su": "longrope", "yarn": "longrope"}  # of its RoPE scaling


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    sliding_window: int | None


def read_config(keys: Keys) -> Config:
    rope = partial(read_rope, partial=1.0, original=4096, aliases=OLD_NAMES)
    return Config(
        **read_decoder(keys, longest=4096, rope=rope),
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        sliding_window=keys.optional_number("sliding_window"),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + self_attention(config, layer["self_attn"], llama.norm(config, layer["input_layernorm"], x), i, table)
        x = x + mlp(config, layer["mlp"], llama.norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights["lm_head"], x, samples)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    head_dim, kv_size = config.head_dim, config.num_key_value_heads * config.head_dim
    wq, wk, wv = w["qkv_proj"].biased(config.attention_bias).split(config.num_attention_heads * head_dim, kv_size, kv_size)
    q = linear(x, wq.paired(head_dim, table.rotary), config.num_attention_heads * head_dim)  # [T, H*D]
    k = linear(x, wk.paired(head_dim, table.rotary), kv_size)  # [T, K*D]
    v = linear(x, wv, kv_size)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, v, i, table, window=config.sliding_window)


def mlp(config: Decoder, w: Weights, x: Node) -> Node:
    size = config.intermediate_size
    gate, up = w["gate_up_proj"].split(size, size)
    return linear(
        ACTIVATIONS[config.hidden_act](linear(x, gate, size)) * linear(x, up, size), w["down_proj"], config.hidden_size
    )
