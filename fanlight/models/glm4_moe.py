"""GLM-4.5, 4.6 and 4.7 with experts, Air among them.  https://arxiv.org/abs/2508.06471
Llama, except: half of each head turns, heads of queries and keys may be normalised, q, k and v may have biases, and MLPs are
DeepSeek V3's experts, but for the first layers'."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import deepseek_v3, llama, qwen3, routed
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.moe import Moe
from fanlight.models.rope import Rope, read_rope
from fanlight.models.routed import is_unused
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ()

GGUF_NAMES = {
    **qwen3.GGUF_NAMES,
    **routed.GGUF_NAMES,
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
}
GGUF_KEYS = routed.GGUF_KEYS


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    use_qk_norm: bool | None  # None: as the file has it
    moe: Moe
    shared_size: int  # 0: there is no such MLP
    routing: dict[str, Any]  # of layers.route
    drafts: int  # layers after the last that only predict ahead, and are not run


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=131072, kv_heads=8, rope=partial(read_rope, partial=0.5))
    routing = routed.read_gguf_routing(keys, 2) if keys.is_gguf else deepseek_v3.read_routing(keys, 1.0, (1, 1))
    normalize, first = keys.flag("norm_topk_prob", not keys.is_gguf), 0 if keys.is_gguf else 1
    return Config(
        **fields | {"output_bias": False},
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        use_qk_norm=keys.optional_flag("use_qk_norm", False),
        **routed.read_routed(keys, fields["num_hidden_layers"], first, (128, 8, 1408), 1, normalize, routing),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, routed.mlp)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    has_norms = w["q_norm"].has() if config.use_qk_norm is None else config.use_qk_norm
    q, k, v = (qwen3.normed_qkv if has_norms else llama.qkv)(config, w, x, table)
    return llama.turn_and_attend(config, w, q, k, v, i, table)
