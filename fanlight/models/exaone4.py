"""EXAONE 4.  https://arxiv.org/abs/2507.11407
Qwen3, except: each branch is normalised after it, not before; the 32B has a sliding window on three layers of four, and in the
fourth positions turn nothing."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, olmo2, qwen3
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder, sliding_in_turns, sliding_layers, windows
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **qwen3.GGUF_NAMES,
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.post_feedforward_layernorm": "blk.{i}.post_ffw_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    windows: tuple[int | None, ...]  # of each layer
    is_turned: tuple[bool, ...]  # each layer


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=2048, kv_heads=32)
    window = keys.optional_number("sliding_window", None if keys.is_gguf else 4096)
    is_sliding = read_sliding(keys, fields["num_hidden_layers"], window)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        windows=windows(is_sliding, window),
        is_turned=tuple(slides or window is None for slides in is_sliding),
    )


def read_sliding(keys: Keys, layers: int, window: int | None) -> tuple[bool, ...]:
    if window is None:
        keys.ignore("layer_types", "sliding_window_pattern")
        return (False,) * layers
    if keys.has("layer_types"):
        keys.ignore("sliding_window_pattern")
        return sliding_layers(keys, layers, lambda i: False)
    return sliding_in_turns(keys, layers, 4)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return olmo2.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    turning = table if config.is_turned[i] else None
    q, k, v = qwen3.normed_qkv(config, w, x, turning)
    return llama.turn_and_attend(config, w, q, k, v, i, turning, window=config.windows[i])
