"""Qwen2 and Qwen2.5, dense.  https://arxiv.org/abs/2407.10671
Llama, except: q, k and v have biases, and upper layers may have a sliding window."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder, sliding_layers, windows
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    windows: tuple[int | None, ...]  # of each layer: a token sees itself and so many - 1 before it


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=32768, kv_heads=32)
    if not keys.is_gguf:
        fields |= {"attention_bias": True, "output_bias": False}
    return Config(
        **fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6), windows=read_windows(keys, fields["num_hidden_layers"])
    )


def read_windows(keys: Keys, layers: int) -> tuple[int | None, ...]:
    """The first max_window_layers layers have none, or those that layer_types calls full."""
    if keys.is_gguf:
        return (None,) * layers
    is_used = keys.flag("use_sliding_window", False)
    window, first = keys.optional_number("sliding_window", 4096), keys.count("max_window_layers", 28)
    is_sliding = sliding_layers(keys, layers, lambda i: i >= first)
    return windows(is_sliding, window if is_used else None)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope, **options: Any) -> Node:
    return llama.self_attention(config, w, x, i, table, window=config.windows[i], **options)
