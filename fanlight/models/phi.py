"""Phi-1, Phi-1.5 and Phi-2.  https://arxiv.org/abs/2309.05463

LayerNorm, one for both branches of a block, which run side by side; biases everywhere, the head's too; a part of each head
turns; an MLP without a gate."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, finish_rows, linear, rope, sample, sampled_rows
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.final_layernorm": "output_norm",
    "lm_head": "output",
    "model.layers.{i}.input_layernorm": "blk.{i}.attn_norm",
    "model.layers.{i}.self_attn.q_proj": "blk.{i}.attn_q",
    "model.layers.{i}.self_attn.k_proj": "blk.{i}.attn_k",
    "model.layers.{i}.self_attn.v_proj": "blk.{i}.attn_v",
    "model.layers.{i}.self_attn.Wqkv": "blk.{i}.attn_qkv",  # of the first files
    "model.layers.{i}.self_attn.dense": "blk.{i}.attn_output",
    "model.layers.{i}.mlp.fc1": "blk.{i}.ffn_up",
    "model.layers.{i}.mlp.fc2": "blk.{i}.ffn_down",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=2048, act="gelu_new", rope=partial(read_rope, partial=0.5))
    keys.only("qk_layernorm", False)
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = stablelm.norm(config, layer["input_layernorm"], x)
        x = x + self_attention(config, layer["self_attn"], y, i, table) + mlp(config, layer["mlp"], y)
    if not samples:
        return finish_rows(x)
    x = stablelm.norm(config, w["final_layernorm"], sampled_rows(x, samples))  # [B, C]
    head = w["embed_tokens"] if config.tie_word_embeddings else weights["lm_head"].biased(True)
    return sample(linear(x, head, config.vocab_size))


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    sizes = heads * head_dim, kv_heads * head_dim, kv_heads * head_dim
    parts = w["Wqkv"].split(*sizes) if w["Wqkv"].has() else [w["q_proj"], w["k_proj"], w["v_proj"]]
    wq, wk, wv = (part.biased(True) for part in parts)
    q = rope(linear(x, wq.paired(head_dim, table.rotary), sizes[0]), heads, table)  # [T, H*D]
    k = rope(linear(x, wk.paired(head_dim, table.rotary), sizes[1]), kv_heads, table)  # [T, K*D]
    x = attend(q, k, linear(x, wv, sizes[2]), i, heads, kv_heads)  # [T, H*D]
    return linear(x, w["dense"].biased(True), config.hidden_size)  # [T, C]


def mlp(config: Config, w: Weights, x: Node) -> Node:
    x = ACTIVATIONS[config.hidden_act](linear(x, w["fc1"].biased(True), config.intermediate_size))  # [T, F]
    return linear(x, w["fc2"].biased(True), config.hidden_size)  # [T, C]
