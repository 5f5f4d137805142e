"""Qwen3 with experts: 30B-A3B, Coder.  https://arxiv.org/abs/2505.09388
Qwen3, except: most layers' MLPs are routed experts, and no layer has a window."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, moe, qwen3
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.moe import Moe
from fanlight.models.qwen2 import Config as DenseConfig
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {**qwen3.GGUF_NAMES, **moe.GGUF_NAMES}
GGUF_KEYS = moe.GGUF_KEYS


@dataclass(frozen=True, slots=True)
class Config(DenseConfig):
    moe: Moe


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=32768, kv_heads=4)
    layers = fields["num_hidden_layers"]
    keys.ignore("max_window_layers")  # which published files have, and transformers does not read here
    window = keys.optional_number("sliding_window", 4096) if keys.flag("use_sliding_window", False) else None
    # No key of a GGUF file says whether shares are normalised: llama.cpp does so.
    normalize = keys.is_gguf or keys.flag("norm_topk_prob", False)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        windows=(window,) * layers,
        moe=moe.read_moe(keys, layers, normalize, (128, 8, 768), is_sparse=moe.sparse_layers(keys, layers)),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, qwen3.self_attention, mlp)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    return moe.mlp(config, config.moe, w, x) if config.moe.is_sparse[i] else llama.mlp(config, w, x)
