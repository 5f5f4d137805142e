"""Voxtral.  https://arxiv.org/abs/2507.13264

Llama, and Whisper's encoder for sounds of any length, window by window, of which several rows side by side become one of the
language model's, by an MLP."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.layers import linear, merged
from fanlight.models.sound import whisper
from fanlight.models.sound.gguf import INSIDE
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)
GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **INSIDE,
    "model.multi_modal_projector.linear_1": "mm.a.mlp.1",
    "model.multi_modal_projector.linear_2": "mm.a.mlp.2",
}
FOLDER_NAMES = {"lm_head": "language_model.lm_head"}  # as published
PREFIXES = ("model.language_model", "language_model.model", "model")  # transformers 5, 4, and GGUF files
TEXT = {  # where text_config leaves it out
    "vocab_size": 131072,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 30,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e8,
}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    sound: whisper.Encoder
    projector_hidden_act: str


def read_config(keys: Keys) -> Config:
    text = keys if keys.is_gguf else read_text(keys)
    config = llama.read_config(text)
    said_twice(keys, config)
    fields = {name: getattr(config, name) for name in llama.Config.__dataclass_fields__} | {"model_type": keys.model_type}
    encoder = whisper.read_config(keys.inner("audio_config") or Keys({}, keys.file))
    return Config(**fields, sound=encoder, projector_hidden_act=keys.choice("projector_hidden_act", ACTIVATIONS, "gelu"))


def read_text(keys: Keys) -> Keys:
    text = keys.inner("text_config") or Keys({}, keys.file)
    for name, value in TEXT.items():
        if name != "rope_theta" or not text.has("rope_parameters"):
            text.assume(name, value)
    text.assume("tie_word_embeddings", keys.flag("tie_word_embeddings", False))
    return text


def said_twice(keys: Keys, config: Any) -> None:
    """What the file says outside of text_config too."""
    for name in ("hidden_size", "vocab_size"):
        keys.only(name, getattr(config, name))


def language_model(weights: Weights) -> Weights:
    return next((weights[name] for name in PREFIXES if weights[name]["embed_tokens"].has()), weights[PREFIXES[0]])


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    root = language_model(weights)
    return llama.stack(config, weights, rows, samples, context_length, llama.self_attention, root=root, sees=1)


def hear(config: Config, weights: Weights) -> Node:
    """What a window of sound is to the language model. [R, C]"""
    w, size = weights["model.multi_modal_projector"], config.hidden_size
    x = merged(whisper.heard(config.sound, weights["model.audio_tower"]), config.sound.merge)
    return linear(ACTIVATIONS[config.projector_hidden_act](linear(x, w["linear_1"], size)), w["linear_2"], size)
