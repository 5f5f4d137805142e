"""ERNIE 4.5, dense.  https://yiyan.baidu.com/blog/publication/ERNIE_Technical_Report.pdf
Llama, except: neighbours turn together in every kind of file, and all products may have biases."""

from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.llama import GGUF_NAMES, Config
from fanlight.models.rope import read_rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf", "safetensors")

ALWAYS = {"compression_ratio": 1.0, "use_rmsnorm": True}  # in published files


def read_config(keys: Keys) -> Config:
    return Config(**read_fields(keys, 2, 128))


def read_fields(keys: Keys, kv_heads: int, head_dim: int | None) -> dict[str, Any]:
    """Of Config. kv_heads, head_dim: as of read_decoder."""
    rope = partial(read_rope, theta=500000.0)
    fields = read_decoder(keys, longest=131072, kv_heads=kv_heads, head_dim=head_dim, is_tied=True, rope=rope)
    for key, value in ALWAYS.items():
        keys.only(key, value)
    bias = keys.optional_flag("use_bias", None if keys.is_gguf else False)
    fields |= {"attention_bias": bias, "output_bias": bias, "mlp_bias": bias}
    return {**fields, "rms_norm_eps": keys.positive("rms_norm_eps", 1e-5)}


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, llama.self_attention)
