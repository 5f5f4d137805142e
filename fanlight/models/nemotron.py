"""Nemotron 4 and Minitron.  https://arxiv.org/abs/2407.14679
Llama, except: LayerNorm, by 1 + weight, half of each head turns, and the MLP has no gate, and squares what ReLU leaves."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import arcee, llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.gemma import plus_one
from fanlight.models.layers import embed, layer_norm
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.rope import read_rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()

GGUF_KEYS = {"norm_eps": "attention.layer_norm_epsilon"}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    norm_eps: float


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=4096, act="relu2", rope=partial(read_rope, partial=0.5))
    return Config(**fields, norm_eps=keys.positive("norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = norm(config, layer["input_layernorm"], x)
        x = x + llama.self_attention(config, layer["self_attn"], y, i, table)
        x = x + arcee.mlp(config, layer["mlp"], norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights["lm_head"], x, samples, norm)


def norm(config: Config, w: Weights, x: Node) -> Node:
    size = config.hidden_size
    return layer_norm(x, plus_one(w, w.vector(size)), w.vector(size, "bias"), config.norm_eps)
