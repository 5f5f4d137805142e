"""Mistral 7B, Nemo.  https://arxiv.org/abs/2310.06825
Llama, except: a sliding window in the first version. GGUF files of it call themselves llama."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    sliding_window: int | None  # a token sees itself and sliding_window - 1 before it


def read_config(keys: Keys) -> Config:
    return Config(
        **read_decoder(keys, longest=131072, kv_heads=8),
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        sliding_window=keys.optional_number("sliding_window", 4096),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    return llama.self_attention(config, w, x, i, table, window=config.sliding_window)
