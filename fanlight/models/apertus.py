"""Apertus.  https://arxiv.org/abs/2509.14233
Qwen3, except: the MLP has no gate, and applies xIELU, whose numbers each layer has learnt (https://arxiv.org/abs/2411.13010)."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels import expressions
from fanlight.kernels.expressions import exp, relu, smallest
from fanlight.models import llama, qwen3
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, linear
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **{name: theirs for name, theirs in qwen3.GGUF_NAMES.items() if "layernorm" not in name and "gate" not in name},
    "model.layers.{i}.attention_layernorm": "blk.{i}.attn_norm",
    "model.layers.{i}.feedforward_layernorm": "blk.{i}.ffn_norm",
}
DEFAULT_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 12000000.0,
    "factor": 8.0,
    "original_max_position_embeddings": 8192,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
NUMBERS = ("alpha_p", "alpha_n", "beta", "eps")  # of xIELU


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    xielu: tuple[tuple[float, ...], ...]  # of each layer, a GGUF file's; others have tensors


def read_config(keys: Keys) -> Config:
    if not (keys.is_gguf or keys.has("rope_parameters") or keys.has("rope_scaling") or keys.has("rope_theta")):
        keys.assume("rope_parameters", DEFAULT_ROPE)
    fields = read_decoder(keys, longest=65536, act="xielu", acts=("xielu",), rope=partial(read_rope, theta=12000000.0))
    keys.only("qk_norm", True)
    keys.only("post_norm", False)
    numbers = [keys.reals(f"xielu.{name}", fields["num_hidden_layers"]) for name in NUMBERS] if keys.is_gguf else []
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-5), xielu=tuple(zip(*numbers, strict=True)))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["attention_layernorm"], x)
        x = x + self_attention(config, layer["self_attn"], y, i, table)
        x = x + mlp(config, layer["mlp"], llama.norm(config, layer["feedforward_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    return llama.turn_and_attend(config, w, *qwen3.normed_qkv(config, w, x, table), i, table)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    numbers = config.xielu[i] if config.xielu else [w["act_fn"].scalar(name) for name in NUMBERS]
    return linear(xielu(linear(x, w["up_proj"], config.intermediate_size), *numbers), w["down_proj"], config.hidden_size)


def xielu(x: Node, alpha_p: Any, alpha_n: Any, beta: Any, eps: Any) -> Node:
    """Above 0: a square; below: an exponential, which eps (below 0) keeps from 0; everywhere: a line."""
    above = softplus(alpha_p) * relu(x) * relu(x)
    below = (beta + softplus(alpha_n)) * (exp(smallest(x, eps)) - 1.0 - x)
    is_below = smallest(relu(x * -1e20), 1.0)
    return above + below * is_below + beta * x


def softplus(x: Any) -> Any:
    return math.log1p(math.exp(x)) if isinstance(x, float) else expressions.softplus(x)
