"""Falcon, the first: RW, 7B, 40B, 180B.  https://arxiv.org/abs/2311.16867

LayerNorm, one for both branches of a block (7B) or one for each (40B), which run side by side; one key head, or one for a
group; an MLP without a gate. RW's branches follow one another, and have biases and ALiBi, whose numbers are those of BF16: so
transformers computes them, whatever the type of the weights."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import argument, bf16, evaluate
from fanlight.models import gpt2, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import KEY, SLOPE, alibi_slopes, attend, embed, linear, rope
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
    parallel_attn: bool
    alibi: bool


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    sizes = {} if keys.is_gguf else {"intermediate_size": 4 * keys.number("hidden_size")}
    fields = read_decoder(keys, longest=2048, is_tied=True, act="gelu", sizes=sizes)
    keys.only("apply_residual_connection_post_layernorm", False)
    if not keys.is_gguf:
        fields |= read_old_or_new(keys, fields)
        bias = keys.flag("bias", False)
        fields |= {"attention_bias": bias, "output_bias": bias, "mlp_bias": bias, "alibi": keys.flag("alibi", False)}
    return Config(
        **{"has_two_norms": None, "parallel_attn": True, "alibi": False, **fields},
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
    )


def read_old_or_new(keys: Keys, fields: dict[str, int]) -> dict[str, int | bool]:
    if keys.flag("new_decoder_architecture", False):
        keys.ignore("multi_query", "parallel_attn")
        return {"has_two_norms": keys.optional_number("num_ln_in_parallel_attn", 2) in (None, 2)}
    keys.ignore("num_ln_in_parallel_attn")
    kinds: dict[str, int | bool] = {"has_two_norms": False, "parallel_attn": keys.flag("parallel_attn", True)}
    return {**kinds, "num_key_value_heads": 1} if keys.flag("multi_query", True) else kinds


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["transformer"], config.rope.at(context_length)
    x = embed(w["word_embeddings"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i in range(config.num_hidden_layers):
        x = block(config, w[f"h.{i}"], x, i, table)
    table_of_tokens = w["word_embeddings"] if config.tie_word_embeddings else weights["lm_head"]
    return gpt2.head(config, w["ln_f"], table_of_tokens, x, samples)


def block(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    has_two = w["ln_attn"].has() if config.has_two_norms is None else config.has_two_norms
    y = stablelm.norm(config, w["ln_attn" if has_two else "input_layernorm"], x)
    if not config.parallel_attn:
        x = x + self_attention(config, w["self_attention"], y, i, table)
        return x + mlp(config, w["mlp"], stablelm.norm(config, w["post_attention_layernorm"], x))
    z = stablelm.norm(config, w["ln_mlp"], x) if has_two else y
    return x + self_attention(config, w["self_attention"], y, i, table) + mlp(config, w["mlp"], z)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    sizes, qkv = (
        (heads * head_dim, kv_heads * head_dim, kv_heads * head_dim),
        w["query_key_value"].biased(config.attention_bias),
    )
    wq, wk, wv = qkv.split(*sizes) if w.is_gguf else qkv.grouped(kv_heads, heads // kv_heads, head_dim)
    if config.alibi:
        q, k = linear(x, wq, sizes[0]), linear(x, wk, sizes[1])  # [T, H*D], [T, K*D]
    else:
        q = rope(linear(x, wq.paired(head_dim, table.rotary), sizes[0]), heads, table)  # [T, H*D]
        k = rope(linear(x, wk.paired(head_dim, table.rotary), sizes[1]), kv_heads, table)  # [T, K*D]
    alibi = {"slopes": rounded_slopes(heads), "bias": bf16(SLOPE * KEY) * head_dim**-0.5} if config.alibi else {}
    x = attend(q, k, linear(x, wv, sizes[2]), i, heads, kv_heads, **alibi)  # [T, H*D]
    return linear(x, w["dense"].biased(config.output_bias), config.hidden_size)  # [T, C]


def rounded_slopes(heads: int) -> tuple[float, ...]:
    return tuple(evaluate(bf16(argument(0)), [slope]) for slope in alibi_slopes(heads))


def mlp(config: Config, w: Weights, x: Node) -> Node:
    up, down = w["dense_h_to_4h"].biased(config.mlp_bias), w["dense_4h_to_h"].biased(config.mlp_bias)
    return gpt2.plain_mlp(config, up, down, x)
