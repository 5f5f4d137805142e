"""Mellum 2: 12B-A2.5B.  https://huggingface.co/JetBrains/Mellum2-12B-A2.5B-Base
Qwen3 with experts, except: some layers have a sliding window, and RoPE frequencies of their own."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import gemma3, llama, moe, qwen3, qwen3_moe
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder, sliding_in_turns, sliding_layers, windows
from fanlight.models.qwen3_moe import GGUF_KEYS, GGUF_NAMES
from fanlight.models.rope import LongRope, Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ()

DRAFTS = ("num_nextn_predict_layers", "num_mtp_layers", "mtp_layer_types", "mtp_mlp_layer_types")


@dataclass(frozen=True, slots=True)
class Config(qwen3_moe.Config):
    sliding_rope: Rope | LongRope  # of the layers with a window


def read_config(keys: Keys) -> Config:
    rope = partial(gemma3.read_rope, theta=500000.0)
    fields = read_decoder(keys, longest=131072, kv_heads=4, head_dim=128, rope=rope)
    layers, window = fields["num_hidden_layers"], keys.optional_number("sliding_window", None if keys.is_gguf else 1024)
    if keys.is_gguf and window:  # llama.cpp: one full layer in a turn of four, where no key says
        is_sliding = sliding_in_turns(keys, layers, 4)
    else:
        is_sliding = sliding_layers(keys, layers, lambda i: False)
    theta = keys.positive("rope_theta") if keys.is_gguf else 10000.0
    kinds = keys.per_layer("mlp_layer_types", ("dense", "sparse"), layers)
    is_sparse = tuple(kind == "sparse" for kind in kinds) if kinds else (True,) * layers
    normalize = keys.is_gguf or keys.flag("norm_topk_prob", True)
    keys.ignore(*DRAFTS)  # which are not run
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        windows=windows(is_sliding, window),
        sliding_rope=gemma3.read_sliding_rope(keys, fields["head_dim"], fields["max_position_embeddings"], theta),
        moe=moe.read_moe(keys, layers, normalize, (64, 8, 896), is_sparse=is_sparse),
    )


def is_unused(config: Config, name: str) -> bool:
    """Layers that only predict ahead."""
    return name.startswith("mtp.")


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, qwen3_moe.mlp)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    return qwen3.self_attention(config, w, x, i, config.sliding_rope.at(0) if config.windows[i] else table)
