"""Llama 2 and 3, and what is built the same way: Mistral, SmolLM2, TinyLlama.  https://arxiv.org/abs/2302.13971

Pre-norm decoder: grouped-query attention with rotary positions, then a SwiGLU MLP, each added to the residual stream.
Shape letters as in layers.py.
"""

from fanlight.compiler.graph import Node
from fanlight.models.config import Config
from fanlight.models.layers import add, attend, embed, finish_rows, linear, rms_norm, rope, sample, sampled_rows, swiglu
from fanlight.models.weights import Weights

GGUF_INTERLEAVED = True  # GGUF's llama files store rotary pairs side by side

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


def forward(config: Config, weights: Weights, rows: int, samples: int, attention=None) -> Node:
    """The step's root: sampled ids [B], or the last hidden state where nothing is sampled."""
    attention = attention or self_attention
    w = weights["model"]
    x = embed(w["embed_tokens"], rows)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = block(config, layer, x, i, attention)
    if not samples:
        return finish_rows(x)
    x = rms_norm(sampled_rows(x, samples), w["norm"], config.rms_norm_eps)  # [B, C]
    head = w["embed_tokens"] if config.tie_word_embeddings else weights["lm_head"]
    return sample(linear(x, head))  # [B, V] -> [B]


def block(config: Config, w: Weights, x: Node, i: int, attention) -> Node:
    x = add(x, attention(config, w["self_attn"], rms_norm(x, w["input_layernorm"], config.rms_norm_eps), i))
    return add(x, mlp(w["mlp"], rms_norm(x, w["post_attention_layernorm"], config.rms_norm_eps)))


def self_attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    q = linear(x, w["q_proj"])  # [T, H*D]
    k = linear(x, w["k_proj"])  # [T, K*D]
    v = linear(x, w["v_proj"])  # [T, K*D]
    return linear(rotate_and_attend(config, q, k, v, i), w["o_proj"])


def rotate_and_attend(config: Config, q: Node, k: Node, v: Node, i: int) -> Node:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    q = rope(q, heads, config.inv_freq, config.rope_scale)
    k = rope(k, kv_heads, config.inv_freq, config.rope_scale)
    return attend(q, k, v, i, heads, kv_heads, config.sliding_window)  # [T, H*D]


def mlp(w: Weights, x: Node) -> Node:
    return linear(swiglu(linear(x, w["gate_proj"]), linear(x, w["up_proj"])), w["down_proj"])  # [T, C]
