"""BLOOM.  https://arxiv.org/abs/2211.05100

LayerNorm, of embeddings too; biases everywhere; ALiBi; an MLP without a gate. q, k and v of each head follow one another."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import gpt2, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.gpt_neox import parts_of
from fanlight.models.layers import alibi_slopes, attend, embed, linear
from fanlight.models.rope import without_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "transformer.word_embeddings": "token_embd",
    "transformer.word_embeddings_layernorm": "token_embd_norm",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "transformer.h.{i}.input_layernorm": "blk.{i}.attn_norm",
    "transformer.h.{i}.self_attention.query_key_value": "blk.{i}.attn_qkv",
    "transformer.h.{i}.self_attention.dense": "blk.{i}.attn_output",
    "transformer.h.{i}.post_attention_layernorm": "blk.{i}.ffn_norm",
    "transformer.h.{i}.mlp.dense_h_to_4h": "blk.{i}.ffn_up",
    "transformer.h.{i}.mlp.dense_4h_to_h": "blk.{i}.ffn_down",
}
KEYS = {
    "hidden_size": "n_embed",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "seq_length",
    "layer_norm_eps": "layer_norm_epsilon",
}
# How Megatron computes the same, and over how many GPUs it was trained.
NOT_READ = (
    "attention_softmax_in_fp32 bias_dropout_fusion masked_softmax_fusion offset_alibi pretraining_tp skip_bias_add"
    " skip_bias_add_qkv slow_but_exact"
).split()


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    if not keys.is_gguf:
        keys.assume("intermediate_size", 4 * keys.number("hidden_size"))
    fields = read_decoder(keys, longest=2048, is_tied=True, act="gelu_new", rope=without_rope)
    keys.only("apply_residual_connection_post_layernorm", False)
    keys.ignore(*NOT_READ)
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["transformer"]
    x = embed(w["word_embeddings"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = stablelm.norm(config, w["word_embeddings_layernorm"], x)
    for i in range(config.num_hidden_layers):
        layer, mlp = w[f"h.{i}"], w[f"h.{i}.mlp"]
        x = x + attention(config, layer["self_attention"], stablelm.norm(config, layer["input_layernorm"], x), i)
        y = stablelm.norm(config, layer["post_attention_layernorm"], x)
        x = x + gpt2.plain_mlp(config, mlp["dense_h_to_4h"].biased(True), mlp["dense_4h_to_h"].biased(True), y)
    table = w["word_embeddings"] if config.tie_word_embeddings else weights["lm_head"]
    return gpt2.head(config, w["ln_f"], table, x, samples)


def attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    qkv = parts_of(w["query_key_value"].biased(True), heads, config.head_dim)
    q, k, v = (linear(x, part, size) for part in qkv)  # [T, C]
    return linear(attend(q, k, v, i, heads, heads, slopes=alibi_slopes(heads)), w["dense"].biased(True), size)  # [T, C]
