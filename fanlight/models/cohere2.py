"""Command R7B and Command A.  https://arxiv.org/abs/2504.00698
Cohere, except: three layers with RoPE and a sliding window, then one with neither."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import cohere, llama
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.decoder import Decoder, read_decoder, sliding_in_turns, windows
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf", "safetensors")

# What published files say of the architecture, and is so in all of them.
ALWAYS = {
    "layer_switch": 4,
    "order_of_interleaved_layers": "local_attn_first",
    "position_embedding_type": "rope_gptj",
    "rotary_pct": 1.0,
    "use_embedding_sharing": True,
    "use_gated_activation": True,
    "use_parallel_block": True,
    "use_parallel_embedding": True,
    "use_qk_norm": False,
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    logit_scale: float
    windows: tuple[int | None, ...]  # of each layer; None: all, and no RoPE


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=8192, is_tied=True)
    keys.only("rope_local_base_freq", keys.positive("rope_theta", 10000.0))
    for key, value in ALWAYS.items():
        keys.only(key, value)
    window = keys.number("sliding_window", REQUIRED if keys.is_gguf else 4096)
    return Config(
        **fields,
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
        logit_scale=keys.positive("logit_scale", REQUIRED if keys.is_gguf else 0.0625),
        windows=windows(sliding_in_turns(keys, fields["num_hidden_layers"], 4), window),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return cohere.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    window = config.windows[i]
    return llama.self_attention(config, w, x, i, table if window else None, window=window)
