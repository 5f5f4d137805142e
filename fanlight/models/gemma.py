"""Gemma.  https://arxiv.org/abs/2403.08295
Llama, except: embeddings are multiplied by the root of their width, norms by 1 + weight, and the MLP's gate is a GELU."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, rms_norm
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()
PREFIXES = ("model.language_model", "language_model.model", "model")  # transformers 5, 4, and the language model alone


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=8192, kv_heads=16, head_dim=256, is_tied=True, act="gelu_pytorch_tanh")
    if fields["hidden_act"] == "gelu":  # so the first release's files say, and mean its approximation
        fields["hidden_act"] = "gelu_pytorch_tanh"
    keys.only("hidden_activation", fields["hidden_act"])
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embeddings(config, w["embed_tokens"], rows)
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + llama.self_attention(config, layer["self_attn"], norm(config, layer["input_layernorm"], x), i, table)
        x = x + llama.mlp(config, layer["mlp"], norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights["lm_head"], x, samples, norm)


def language_model(weights: Weights) -> Weights:
    """Perhaps beside models of other senses."""
    return next((weights[name] for name in PREFIXES if weights[name]["embed_tokens"].has()), weights["model"])


def embeddings(config: Any, w: Weights, rows: int) -> Node:
    return embed(w, rows, config.vocab_size, config.hidden_size) * config.hidden_size**0.5  # [T, C]


def norm(config: Any, w: Weights, x: Node) -> Node:
    return rms_norm(x, plus_one(w, w.vector(config.hidden_size)), config.rms_norm_eps)


def plus_one(w: Weights, weight: Node) -> Node:
    """What is no folder has the sum."""
    return 1.0 + weight if w.is_folder else weight
