"""SmolLM3.  https://huggingface.co/blog/smollm3
Llama, except: in some layers, every fourth as released, positions turn nothing (https://arxiv.org/abs/2501.18795)."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf",)


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    is_turned: tuple[bool, ...]  # each layer


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=32768, kv_heads=4, is_tied=True, rope=partial(read_rope, theta=2e6))
    layers, interval = fields["num_hidden_layers"], keys.number("no_rope_layer_interval", 4)
    turned = keys.per_layer("no_rope_layers", (0, 1), layers) or [(i + 1) % interval != 0 for i in range(layers)]
    keys.only("use_sliding_window", False)
    if not keys.is_gguf:
        keys.ignore("sliding_window", "max_window_layers")
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6), is_turned=tuple(map(bool, turned)))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    return llama.self_attention(config, w, x, i, table if config.is_turned[i] else None)
