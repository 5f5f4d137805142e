"""Qwen3-VL, dense.  https://arxiv.org/abs/2511.21631

Qwen3, and an encoder of pictures (vision/qwen3.py), which gives a picture's rows something in the first layers too. Positions
have three axes, as in Qwen2.5-VL, which are dealt to pairs in turns."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError
from fanlight.models import llama, qwen2, qwen2_5_vl, qwen3
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import put_images
from fanlight.models.qwen2_5_vl import (
    GGUF_LISTS,
    IGNORED,
    PREFIXES,
    dealt,
    prefix_of,
    read_sections,
    vision_keys,
    with_axes,
)
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.vision import qwen3 as tower
from fanlight.models.vision.qwen2_5 import gguf_names
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config", "see"]

PAIRED_IN = ()
GGUF_NAMES = {**qwen3.GGUF_NAMES, **gguf_names(tower.INSIDE)}
GGUF_KEYS = {**qwen2_5_vl.GGUF_KEYS, "deepstack_layers": "n_deepstack_layers"}


@dataclass(frozen=True, slots=True)
class Config(qwen2.Config):
    vision: tower.Vision | None
    image_token_id: int


def read_config(keys: Keys) -> Config:
    keys.ignore(*IGNORED)
    seen = vision_keys(keys)
    vision = tower.read_config(seen) if seen else None
    image = 0 if keys.is_gguf else keys.count("image_token_id", 151655)
    text = keys.inner("text_config") or keys
    if text is not keys and keys.has("tie_word_embeddings"):
        text.assume("tie_word_embeddings", keys.flag("tie_word_embeddings"))
    keys.ignore("tie_word_embeddings")
    fields: dict[str, Any] = read_decoder(text, longest=128000, kv_heads=32, head_dim=128, rope=read_table)
    fields |= {"model_type": keys.model_type, "windows": (None,) * fields["num_hidden_layers"]}
    fields |= {"rms_norm_eps": text.positive("rms_norm_eps", 1e-6), "vision": vision, "image_token_id": image}
    if keys.is_gguf and vision and keys.count("deepstack_layers", 0) != len(vision.deep):
        message = (
            f"{keys.name('deepstack_layers')} is {keys.count('deepstack_layers', 0)}, and the encoder has {len(vision.deep)}"
        )
        raise FormatError(message, where=keys.file, hint="are both files of the same model?")
    text.ignore("deepstack_layers")
    return Config(**fields)


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    sections = read_sections(keys, (24, 20, 20))
    for given in (keys.inner("rope_scaling"), keys.inner("rope_parameters")):
        if given:
            given.only("mrope_interleaved", True)
    table = read_rope(keys, head_dim, longest, theta=5e5)
    return with_axes(keys, table, dealt(sections, head_dim // 2))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    root, parts = weights[prefix_of(weights)], 1 + len(config.vision.deep) if config.vision else 0

    def deepen(x: Node, layer: int) -> Node:
        return put_images(x, layer + 1, parts) if layer + 1 < parts else x

    return llama.stack(
        config, weights, rows, samples, context_length, qwen3.self_attention, root=root, sees=parts, after=deepen
    )


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model, and to its first layers. [R, (1 + deep)*C]"""
    assert config.vision is not None
    return tower.encode(config.vision, weights[PREFIXES[prefix_of(weights)]])
