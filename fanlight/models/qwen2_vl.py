"""Qwen2-VL.  https://arxiv.org/abs/2409.12191

Qwen2.5-VL, except for its encoder of pictures (vision/qwen2.py)."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama, qwen2, qwen2_5_vl
from fanlight.models.config import Keys
from fanlight.models.qwen2_5_vl import GGUF_KEYS, GGUF_LISTS, PAIRED_IN, PREFIXES, forward, prefix_of
from fanlight.models.vision import qwen2 as tower
from fanlight.models.vision.qwen2_5 import Encoder, gguf_names
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config", "see"]

GGUF_NAMES = {**llama.GGUF_NAMES, **gguf_names(tower.INSIDE)}  # without an encoder a file is read as Qwen2.5-VL's


@dataclass(frozen=True, slots=True)
class Config(qwen2.Config):
    vision: Encoder
    image_token_id: int


def read_config(keys: Keys) -> Config:
    fields = qwen2_5_vl.read_fields(keys)
    return Config(**fields, vision=tower.read_config(keys.inner("vision_config") or Keys({}, keys.file)))


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    return tower.encode(config.vision, weights[PREFIXES[prefix_of(weights)]])
