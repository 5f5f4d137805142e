"""ModernBERT: gte-modernbert, granite-embedding R2, Ettin.  https://arxiv.org/abs/2412.13663

An encoder with rotary positions, norms before its branches (the first layer's attention has none), no biases, a gated MLP, and
a window to either side in two layers of three, whose frequencies are others."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import bert
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL, SLIDING, sliding_in_turns, windows
from fanlight.models.layers import attend_all, columns, embed, layer_norm, linear, rope
from fanlight.models.rope import LongRope, Rope, rope_of
from fanlight.models.weights import Weights

PAIRED_IN = ()
GGUF_KEYS = {
    "is_causal": "attention.causal",
    "hidden_activation": "hidden_activation",
    "classifier_pooling": "classifier.pooling_type",
    "norm_eps": "attention.layer_norm_epsilon",
    "local_attention": "attention.sliding_window",
    "global_attn_every_n_layers": "attention.sliding_window_pattern",
    "global_rope_theta": "rope.freq_base",
    "local_rope_theta": "rope.freq_base_swa",
}

GGUF_NAMES = {
    "embeddings.tok_embeddings": "token_embd",
    "embeddings.norm": "token_embd_norm",
    "final_norm": "output_norm",
    "layers.{i}.attn_norm": "blk.{i}.attn_norm",
    "layers.{i}.attn.Wqkv": "blk.{i}.attn_qkv",
    "layers.{i}.attn.Wo": "blk.{i}.attn_output",
    "layers.{i}.mlp_norm": "blk.{i}.ffn_norm",
    "layers.{i}.mlp.Wi": "blk.{i}.ffn_up",
    "layers.{i}.mlp.Wo": "blk.{i}.ffn_down",
    "head.dense": "cls",
    "head.norm": "cls.norm",
    "classifier": "cls.output",
}
TRAINING = (
    "reference_compile deterministic_flash_attn sparse_prediction sparse_pred_ignore_index initializer_cutoff_factor"
    " decoder_bias position_embedding_type repad_logits_with_grad layer_norm_eps"
).split()


@dataclass(frozen=True, slots=True)
class Config:
    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    hidden_activation: str
    norm_eps: float
    norm_bias: bool
    attention_bias: bool | None  # None: as the file has it
    mlp_bias: bool | None
    windows: tuple[int | None, ...]  # a token sees half of it to either side
    rope: Rope | LongRope
    sliding_rope: Rope | LongRope
    classifier_pooling: str
    classifier_activation: str
    classifier_bias: bool
    tie_word_embeddings: bool = False


def read_config(keys: Keys) -> Config:
    sizes: dict[str, Any] = {name: keys.number(name) for name in bert.SIZES}
    keys.only("is_causal", False)
    head_dim, heads = sizes["hidden_size"] // sizes["num_attention_heads"], sizes["num_attention_heads"]
    if sizes["hidden_size"] % (8 * heads):
        raise UnsupportedModel(f"heads of {sizes['hidden_size']} / {heads} elements", where=keys.file)
    window, longest = keys.number("local_attention", 128), keys.number("max_position_embeddings", 8192)
    keys.ignore(*TRAINING, *(key for key in bert.HEADS_KEYS if key != "classifier_pooling"))
    if keys.is_gguf:
        keys.only("num_key_value_heads", heads)
        keys.only("rotary_dim", head_dim)
        bert.no_rope_scaling(keys)
    return Config(
        model_type=str(keys.model_type),
        **sizes,
        max_position_embeddings=longest,
        hidden_activation=keys.choice("hidden_activation", ACTIVATIONS, "gelu"),
        norm_eps=keys.positive("norm_eps", 1e-5),
        norm_bias=keys.flag("norm_bias", False),
        attention_bias=keys.optional_flag("attention_bias", False),
        mlp_bias=keys.optional_flag("mlp_bias", False),
        windows=windows(sliding_in_turns(keys, sizes["num_hidden_layers"], 3, "global_attn_every_n_layers", full=0), window),
        rope=read_table(keys, FULL, "global_rope_theta", 160000.0, head_dim, longest),
        sliding_rope=read_table(keys, SLIDING, "local_rope_theta", 10000.0, head_dim, longest),
        classifier_pooling=keys.choice("classifier_pooling", ("cls", "mean"), "cls"),
        classifier_activation=keys.choice("classifier_activation", ACTIVATIONS, "gelu"),
        classifier_bias=keys.flag("classifier_bias", False),
    )


def read_table(keys: Keys, kind: str, theta_key: str, theta: float, head_dim: int, longest: int) -> Rope | LongRope:
    given = keys.inner("rope_parameters")
    own = (given.inner(kind) if given else None) or Keys({}, keys.file)
    theta = keys.optional_positive(theta_key) or theta
    return rope_of(own, own.positive("rope_theta", theta), head_dim, None, longest)


def encode(config: Config, weights: Weights, rows: int, context_length: int) -> Node:
    w = root_of(weights)
    x = embed(w["embeddings"]["tok_embeddings"], rows, config.vocab_size, config.hidden_size, "given")
    x = norm(config, w["embeddings"]["norm"], x)
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + attention(config, layer["attn"], norm(config, layer["attn_norm"], x) if i else x, i, context_length)
        x = x + mlp(config, layer["mlp"], norm(config, layer["mlp_norm"], x))
    return norm(config, w["final_norm"], x)


def root_of(weights: Weights) -> Weights:
    return weights["model"] if weights["model"]["embeddings"]["tok_embeddings"].has() else weights[""]


def norm(config: Config, w: Weights, x: Node) -> Node:
    bias = w.vector(config.hidden_size, "bias") if config.norm_bias else None
    return layer_norm(x, w.vector(config.hidden_size), bias, config.norm_eps)


def attention(config: Config, w: Weights, x: Node, i: int, context_length: int) -> Node:
    heads, size, window = config.num_attention_heads, config.hidden_size, config.windows[i]
    table = (config.sliding_rope if window else config.rope).at(context_length)
    wq, wk, wv = w["Wqkv"].biased(config.attention_bias).split(size, size, size)
    q, k = (rope(linear(x, part.paired(size // heads, table.rotary), size), heads, table) for part in (wq, wk))
    y = attend_all(q, k, linear(x, wv, size), heads, heads, window)
    return linear(y, w["Wo"].biased(config.attention_bias), size)


def mlp(config: Config, w: Weights, x: Node) -> Node:
    size = config.intermediate_size
    both = linear(x, w["Wi"].biased(config.mlp_bias), 2 * size)
    gated = ACTIVATIONS[config.hidden_activation](columns(both, 0, size)) * columns(both, size, size)
    return linear(gated, w["Wo"].biased(config.mlp_bias), config.hidden_size)


def score(config: Config, weights: Weights, x: Node) -> Node:
    """Of a pair of texts. [B, C] -> [B, 1]"""
    dense = weights["head"]["dense"].biased(config.classifier_bias)
    x = ACTIVATIONS[config.classifier_activation](linear(x, dense, config.hidden_size))
    return linear(norm(config, weights["head"]["norm"], x), weights["classifier"], 1)
