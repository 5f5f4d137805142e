"""GPT-2.  https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf

LayerNorm, biases everywhere, learned positions, an MLP without a gate. Folders have the matrices transposed."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, embed, finish_rows, linear, sample, sampled_rows
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "transformer.h.{i}.ln_1": "blk.{i}.attn_norm",
    "transformer.h.{i}.attn.c_attn": "blk.{i}.attn_qkv",
    "transformer.h.{i}.attn.c_proj": "blk.{i}.attn_output",
    "transformer.h.{i}.ln_2": "blk.{i}.ffn_norm",
    "transformer.h.{i}.mlp.c_fc": "blk.{i}.ffn_up",
    "transformer.h.{i}.mlp.c_proj": "blk.{i}.ffn_down",
}
KEYS = {
    "hidden_size": "n_embd",
    "intermediate_size": "n_inner",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
    "hidden_act": "activation_function",
    "layer_norm_eps": "layer_norm_epsilon",
}
ALWAYS = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    keys.assume("intermediate_size", 4 * keys.number("hidden_size"))
    fields = read_decoder(keys, longest=1024, is_tied=True, act="gelu_new")
    for key, value in ALWAYS.items():
        keys.only(key, value)
    keys.ignore("n_ctx", "type_vocab_size")
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["transformer"]
    x = embedded(config, w, rows)  # [T, C]
    for i in range(config.num_hidden_layers):
        layer = w[f"h.{i}"]
        x = x + self_attention(config, layer["attn"], stablelm.norm(config, layer["ln_1"], x), i)
        x = x + mlp(config, layer["mlp"], stablelm.norm(config, layer["ln_2"], x))
    return head(config, w["ln_f"], w["wte"] if config.tie_word_embeddings else weights["lm_head"], x, samples)


def embedded(config: Decoder, w: Weights, rows: int) -> Node:
    """Tokens and positions. [T, C]"""
    x = embed(w["wte"], rows, config.vocab_size, config.hidden_size)
    return x + embed(w["wpe"], rows, config.max_position_embeddings, config.hidden_size, index="position")


def head(config: Any, norm: Weights, table: Weights, x: Node, samples: int, normed: Any = stablelm.norm) -> Node:
    """The last norm, and the draw by a table of tokens."""
    if not samples:
        return finish_rows(x)
    return sample(linear(normed(config, norm, sampled_rows(x, samples)), table, config.vocab_size))


def self_attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads, size = config.num_attention_heads, config.num_attention_heads * config.head_dim
    q, k, v = (linear(x, part.biased(True), size) for part in w["c_attn"].turned().split(size, size, size))  # [T, H*D]
    return linear(attend(q, k, v, i, heads, heads), w["c_proj"].turned().biased(True), config.hidden_size)  # [T, C]


def mlp(config: Config, w: Weights, x: Node) -> Node:
    return plain_mlp(config, w["c_fc"].turned().biased(True), w["c_proj"].turned().biased(True), x)


def plain_mlp(config: Decoder, up: Weights, down: Weights, x: Node) -> Node:
    """Without a gate."""
    x = ACTIVATIONS[config.hidden_act](linear(x, up, config.intermediate_size))  # [T, F]
    return linear(x, down, config.hidden_size)  # [T, C]
