"""Falcon, the first: 7B, 40B, 180B.  https://arxiv.org/abs/2311.16867

LayerNorm, one for both branches of a block (7B) or one for each (40B), which run side by side; one key head, or one for a
group; an MLP without a gate."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, finish_rows, linear, rope, sample, sampled_rows
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "transformer.word_embeddings": "token_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "transformer.h.{i}.input_layernorm": "blk.{i}.attn_norm",
    "transformer.h.{i}.ln_mlp": "blk.{i}.attn_norm",
    "transformer.h.{i}.ln_attn": "blk.{i}.attn_norm_2",
    "transformer.h.{i}.self_attention.query_key_value": "blk.{i}.attn_qkv",
    "transformer.h.{i}.self_attention.dense": "blk.{i}.attn_output",
    "transformer.h.{i}.mlp.dense_h_to_4h": "blk.{i}.ffn_up",
    "transformer.h.{i}.mlp.dense_4h_to_h": "blk.{i}.ffn_down",
}
KEYS = {
    "intermediate_size": "ffn_hidden_size",
    "num_key_value_heads": "num_kv_heads",
    "hidden_act": "activation",
    "layer_norm_eps": "layer_norm_epsilon",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    has_two_norms: bool | None  # None: as the tensors are


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    sizes = {} if keys.is_gguf else {"intermediate_size": 4 * keys.number("hidden_size")}
    fields = read_decoder(keys, longest=2048, is_tied=True, act="gelu", sizes=sizes)
    keys.only("alibi", False)
    keys.only("apply_residual_connection_post_layernorm", False)
    if not keys.is_gguf:
        fields |= read_old_or_new(keys, fields)
        bias = keys.flag("bias", False)
        fields |= {"attention_bias": bias, "output_bias": bias, "mlp_bias": bias}
    return Config(**{"has_two_norms": None, **fields}, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def read_old_or_new(keys: Keys, fields: dict[str, int]) -> dict[str, int | bool]:
    if keys.flag("new_decoder_architecture", False):
        keys.ignore("multi_query", "parallel_attn")
        return {"has_two_norms": keys.optional_number("num_ln_in_parallel_attn", 2) in (None, 2)}
    keys.only("parallel_attn", True)
    keys.ignore("num_ln_in_parallel_attn")
    return {"num_key_value_heads": 1, "has_two_norms": False} if keys.flag("multi_query", True) else {"has_two_norms": False}


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["transformer"], config.rope.at(context_length)
    x = embed(w["word_embeddings"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i in range(config.num_hidden_layers):
        x = block(config, w[f"h.{i}"], x, i, table)
    if not samples:
        return finish_rows(x)
    x = stablelm.norm(config, w["ln_f"], sampled_rows(x, samples))  # [B, C]
    return sample(linear(x, w["word_embeddings"] if config.tie_word_embeddings else weights["lm_head"], config.vocab_size))


def block(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    has_two = w["ln_attn"].has() if config.has_two_norms is None else config.has_two_norms
    y = stablelm.norm(config, w["ln_attn" if has_two else "input_layernorm"], x)
    z = stablelm.norm(config, w["ln_mlp"], x) if has_two else y
    return x + self_attention(config, w["self_attention"], y, i, table) + mlp(config, w["mlp"], z)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    sizes, qkv = (
        (heads * head_dim, kv_heads * head_dim, kv_heads * head_dim),
        w["query_key_value"].biased(config.attention_bias),
    )
    wq, wk, wv = qkv.split(*sizes) if w.is_gguf else qkv.grouped(kv_heads, heads // kv_heads, head_dim)
    q = rope(linear(x, wq.paired(head_dim, table.rotary), sizes[0]), heads, table)  # [T, H*D]
    k = rope(linear(x, wk.paired(head_dim, table.rotary), sizes[1]), kv_heads, table)  # [T, K*D]
    x = attend(q, k, linear(x, wv, sizes[2]), i, heads, kv_heads)  # [T, H*D]
    return linear(x, w["dense"].biased(config.output_bias), config.hidden_size)  # [T, C]


def mlp(config: Config, w: Weights, x: Node) -> Node:
    up, down = w["dense_h_to_4h"].biased(config.mlp_bias), w["dense_4h_to_h"].biased(config.mlp_bias)
    return linear(ACTIVATIONS[config.hidden_act](linear(x, up, config.intermediate_size)), down, config.hidden_size)
