"""Mamba.  https://arxiv.org/abs/2312.00752
Mamba-2, except: heads are single channels, each number of which fades at its own pace; time steps, B and C are made of what was
convolved."""

import math
from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import silu, softplus
from fanlight.models import llama, state_space
from fanlight.models.config import Keys
from fanlight.models.layers import convolve, embed, linear, rms_norm, scan
from fanlight.models.state_space import BACKBONE_FOLDERS, BACKBONE_NAMES, MIXER
from fanlight.models.weights import Weights

PAIRED_IN = ()
MIXER_NAMES = {
    MIXER: "blk.{i}",
    **{f"{MIXER}.{part}_proj": f"blk.{{i}}.ssm_{part}" for part in ("in", "x", "dt", "out")},
    f"{MIXER}.conv1d": "blk.{i}.ssm_conv1d",
    **{f"{MIXER}.{part}_layernorm": f"blk.{{i}}.ssm_{part}_norm" for part in ("dt", "b", "c")},
}
GGUF_NAMES = {**BACKBONE_NAMES, **MIXER_NAMES}
PARTS = ("in_proj", "x_proj", "dt_proj", "out_proj", "conv1d")
FOLDER_NAMES = {f"{MIXER}.{part}": f"backbone.layers.{{i}}.mixer.{part}" for part in PARTS} | BACKBONE_FOLDERS
NAMES = {
    "rank": "time_step_rank",
    "states": "state_size",
    "taps": "conv_kernel",
    "expand": "expand",
    "bias": "use_bias",
    "conv_bias": "use_conv_bias",
}
MIXER_KEYS = {part: state_space.MIXER_KEYS[part] for part in ("states", "taps", "inner")} | {"rank": "ssm.time_step_rank"}
GGUF_KEYS = {NAMES.get(part, part): key for part, key in MIXER_KEYS.items()}
GGUF_KEYS |= {"layer_norm_epsilon": "attention.layer_norm_rms_epsilon", "is_normed": "ssm.dt_b_c_rms"}
UNUSED = (*state_space.UNUSED, "use_mambapy", "use_falcon_mambapy", "use_associative_scan", "fused_add_norm")


@dataclass(frozen=True, slots=True)
class Selective:
    """A mixer's numbers. inner: channels. states: numbers of a channel. rank: of what time steps are made of. norm: epsilon of
    the norms of that, of B and of C; None for none. is_weighed: those have weights."""

    inner: int
    states: int
    taps: int
    rank: int
    bias: bool | None  # None: as the file has it
    conv_bias: bool | None
    norm: float | None
    is_weighed: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    rms_norm_eps: float
    mixer: Selective


def read_config(keys: Keys) -> Config:
    return read(keys, 1e-6 if keys.is_gguf and keys.flag("is_normed", False) else None)


def read(keys: Keys, norm: float | None) -> Config:
    """norm: as Selective's."""
    hidden, layers = keys.number("hidden_size", 768), keys.number("num_hidden_layers", 32)
    inner = keys.number("inner") if keys.is_gguf else keys.number("intermediate_size", keys.number("expand", 2) * hidden)
    same = {"d_model": hidden, "d_inner": inner, "n_layer": layers, "ssm_cfg": {}, "rms_norm": True, "hidden_act": "silu"}
    for name, value in same.items():
        keys.only(name, value)
    keys.ignore(*UNUSED)
    state_space.ignore_attention(keys)
    return Config(
        str(keys.model_type),
        keys.number("vocab_size", 50280),
        hidden,
        layers,
        keys.number("max_position_embeddings", state_space.UNLIMITED),
        keys.flag("tie_word_embeddings", True),
        keys.positive("layer_norm_epsilon", 1e-5),
        read_mixer(keys, NAMES, inner, hidden, norm),
    )


def read_mixer(
    keys: Keys, names: dict[str, str], inner: int, hidden: int, norm: float | None, is_weighed: bool = False
) -> Selective:
    """names: the keys of NAMES' parts."""
    rank = math.ceil(hidden / 16)
    if keys.is_text(names["rank"]):
        keys.only(names["rank"], "auto")
    else:
        rank = keys.number(names["rank"], rank)
    keys.ignore(names["expand"])
    bias, conv_bias = (None if keys.is_gguf else keys.flag(names[part], part == "conv_bias") for part in ("bias", "conv_bias"))
    states, taps = keys.number(names["states"], 16), keys.number(names["taps"], 4)
    return Selective(inner, states, taps, rank, bias, conv_bias, norm, is_weighed)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["model"]
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + mixer(config.mixer, layer["mamba"], llama.norm(config, layer["input_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples)


def mixer(s: Selective, w: Weights, x: Node, i: int) -> Node:
    """[T, C] -> [T, C]"""
    size, conv = s.inner, w["conv1d"].biased(s.conv_bias)
    inner, z = (linear(x, part, size) for part in w["in_proj"].biased(s.bias).split(size, size))  # [T, I]
    inner = convolve(inner, conv, i, s.taps)
    inner = silu(inner + conv.vector(size, "bias") if conv.has("bias") else inner)
    sizes = s.rank, 2 * s.states
    low, bc = (linear(inner, part, n) for part, n in zip(w["x_proj"].split(*sizes), sizes, strict=True))  # [T, R], [T, 2*N]
    if s.norm is not None:
        low = rms_norm(low, w["dt_layernorm"].vector(s.rank) if s.is_weighed else None, s.norm)
        bc = rms_norm(bc, w.vectors(s.states, "b_layernorm", "c_layernorm") if s.is_weighed else None, s.norm, heads=2)
    dt = softplus(linear(low, w["dt_proj"].biased(True), size))  # [T, I]
    rates = w.vector(size * s.states, "ssm_a" if w.is_gguf else "A_log", [(size, s.states)])
    y = scan(inner, dt, bc, rates, state_space.skips(w, size), i, 1, is_log=not w.is_gguf)  # [T, I]
    return linear(y * silu(z), w["out_proj"].biased(s.bias), x.shape[1])
