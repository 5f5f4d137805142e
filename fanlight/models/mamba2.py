"""Mamba-2: Mamba-Codestral and the models of the paper.  https://arxiv.org/abs/2405.21060

Layers of a mixer alone, without attention and without an MLP: what a token knows of those before it is a state of one size."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, state_space
from fanlight.models.config import Keys
from fanlight.models.layers import embed
from fanlight.models.state_space import BACKBONE_FOLDERS, BACKBONE_NAMES, MIXER_KEYS, StateSpace, mixer
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES, FOLDER_NAMES = {**BACKBONE_NAMES, **state_space.MIXER_NAMES}, BACKBONE_FOLDERS
NAMES = {  # config.json's key -> what it is of a mixer
    "num_heads": "heads",
    "head_dim": "size",
    "n_groups": "groups",
    "state_size": "states",
    "conv_kernel": "taps",
    "expand": "expand",
    "use_bias": "bias",
    "use_conv_bias": "conv_bias",
}
GGUF_KEYS = {**{name: MIXER_KEYS[part] for name, part in NAMES.items() if part in MIXER_KEYS}, "inner": "ssm.inner_size"}
GGUF_KEYS["layer_norm_epsilon"] = "attention.layer_norm_rms_epsilon"


@dataclass(frozen=True, slots=True)
class Config:
    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    rms_norm_eps: float
    mixer: StateSpace


def read_config(keys: Keys) -> Config:
    hidden, eps = keys.number("hidden_size", 4096), keys.positive("layer_norm_epsilon", 1e-5)
    keys.only("hidden_act", "silu")
    keys.only("rms_norm", True)
    keys.ignore(*state_space.UNUSED)
    state_space.ignore_attention(keys)
    names = {part: name for name, part in NAMES.items()}
    return Config(
        str(keys.model_type),
        keys.number("vocab_size", 32768),
        hidden,
        keys.number("num_hidden_layers", 64),
        keys.number("max_position_embeddings", state_space.UNLIMITED),
        keys.flag("tie_word_embeddings", False),
        eps,
        state_space.read_mixer(keys, names, (128, 64, 8, 128), keys.number("expand", 2) * hidden, eps),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["model"]
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + mixer(config.mixer, layer["mamba"], llama.norm(config, layer["input_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples)
