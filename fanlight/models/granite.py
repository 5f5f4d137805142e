"""Granite 3 and the dense Granite 4.  https://arxiv.org/abs/2408.13359, section 2: four multipliers
Llama, except: embeddings and the branches of a block are multiplied, attention has its own scale, and logits are divided."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf",)

GGUF_KEYS = {"logits_scaling": "logit_scale", "is_turned": "rope.scaling.finetuned"}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    embedding_multiplier: float
    residual_multiplier: float
    attention_multiplier: float
    logits_scaling: float


def read_config(keys: Keys) -> Config:
    return Config(**read_fields(keys))


def read_fields(keys: Keys, always_turns: bool = True) -> dict[str, Any]:
    if always_turns:
        keys.only("is_turned", True)
    fields = read_decoder(keys, longest=2048)
    return fields | {
        "rms_norm_eps": keys.positive("rms_norm_eps", 1e-6),
        "embedding_multiplier": keys.positive("embedding_multiplier", 1.0),
        "residual_multiplier": keys.positive("residual_multiplier", 1.0),
        "attention_multiplier": keys.positive("attention_multiplier", fields["head_dim"] ** -0.5 if keys.is_gguf else 1.0),
        "logits_scaling": keys.positive("logits_scaling", REQUIRED if keys.is_gguf else 1.0),
    }


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return stack(config, weights, rows, samples, context_length, _mlp)


def _mlp(config: Config, layer: Weights, x: Node) -> Node:
    return llama.mlp(config, layer["mlp"], x)


def self_attention(config: Config, layer: Weights, x: Node, i: int, table: Rope | None) -> Node:
    return llama.self_attention(config, layer["self_attn"], x, i, table, scale=config.attention_multiplier)


def stack(
    config: Any,
    weights: Weights,
    rows: int,
    samples: int,
    context_length: int,
    mlp: Any,
    attention: Any = self_attention,
) -> Node:
    """mlp: of (config, the layer's weights, x). attention: as self_attention."""
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size) * config.embedding_multiplier  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["input_layernorm"], x)
        x = x + attention(config, layer, y, i, table) * config.residual_multiplier
        y = mlp(config, layer, llama.norm(config, layer["post_attention_layernorm"], x))
        x = x + y * config.residual_multiplier
    return llama.head(config, w, weights["lm_head"], x, samples, finish=lambda logits: logits / config.logits_scaling)
