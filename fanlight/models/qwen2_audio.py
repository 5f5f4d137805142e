"""Qwen2-Audio.  https://arxiv.org/abs/2407.10759

Qwen2, and Whisper's encoder for sounds of one window, whose rows end where the sound ends. The mean of two rows is normalised
and becomes one of the language model's, by one product."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, qwen2
from fanlight.models.config import Keys
from fanlight.models.layers import linear, mean_of
from fanlight.models.sound import whisper
from fanlight.models.sound.gguf import INSIDE
from fanlight.models.voxtral import FOLDER_NAMES, language_model, said_twice
from fanlight.models.weights import Weights

__all__ = ["FOLDER_NAMES", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "hear", "read_config"]

PAIRED_IN = ()
GGUF_NAMES = {**qwen2.GGUF_NAMES, **INSIDE, "model.multi_modal_projector.linear": "mm.a.fc"}
MERGE = 2  # rows of the encoder that become one
TEXT = {  # where text_config leaves it out
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}


@dataclass(frozen=True, slots=True)
class Config(qwen2.Config):
    sound: whisper.Encoder


def read_config(keys: Keys) -> Config:
    text = keys if keys.is_gguf else read_text(keys)
    config = qwen2.read_config(text)
    said_twice(keys, config)
    fields = {name: getattr(config, name) for name in qwen2.Config.__dataclass_fields__} | {"model_type": keys.model_type}
    encoder = whisper.read_config(keys.inner("audio_config") or Keys({}, keys.file), MERGE, windows=1, ends=True)
    return Config(**fields, sound=encoder)


def read_text(keys: Keys) -> Keys:
    text = keys.inner("text_config") or Keys({}, keys.file)
    for name, value in TEXT.items():
        text.assume(name, value)
    text.assume("tie_word_embeddings", keys.flag("tie_word_embeddings", False))
    text.only("use_mrope", False)
    keys.ignore("audio_token_index", "ignore_index")
    return text


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    root = language_model(weights)
    return llama.stack(config, weights, rows, samples, context_length, qwen2.self_attention, root=root, sees=1)


def hear(config: Config, weights: Weights) -> Node:
    """What a sound is to the language model. [R, C]"""
    w = weights["model.audio_tower"]
    x = whisper.norm(config.sound, w["layer_norm"], mean_of(whisper.states(config.sound, w), MERGE))
    return linear(x, weights["model.multi_modal_projector.linear"].biased(True), config.hidden_size)
