"""Qwen2.5-VL.  https://arxiv.org/abs/2502.13923

Qwen2, and an encoder of pictures (vision/qwen2_5.py). Positions have three axes, time, height and width, and each pair of a
head turns by one of them (M-RoPE); a text's are all alike. Of GGUF files one has the language model, another the encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import llama, qwen2
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.vision import qwen2_5
from fanlight.models.weights import Weights

PAIRED_IN = ()
GGUF_NAMES = {**llama.GGUF_NAMES, **qwen2_5.gguf_names({**qwen2_5.INSIDE, **qwen2_5.GATED})}
GGUF_KEYS = {"mrope_section": "rope.dimension_sections"}
GGUF_LISTS = ("mrope_section",)
PREFIXES = {"model.language_model": "model.visual", "model": "visual"}  # of the language model -> of the tower
IGNORED = (
    "image_token_id video_token_id vision_start_token_id vision_end_token_id vision_token_id video_token_index"
    " image_token_index rope_deltas"
).split()


@dataclass(frozen=True, slots=True)
class Config(qwen2.Config):
    vision: qwen2_5.Vision | None
    image_token_id: int


def read_config(keys: Keys) -> Config:
    vision = vision_keys(keys)
    return Config(**read_fields(keys), vision=qwen2_5.read_config(vision) if vision else None)


def vision_keys(keys: Keys) -> Keys | None:
    """Of the encoder, which a folder always has; None of a GGUF file of the language model alone."""
    return keys.inner("vision_config") or (None if keys.is_gguf else Keys({}, keys.file))


def read_fields(keys: Keys) -> dict[str, Any]:
    """All but the encoder's. The first files have the language model's keys beside the others, later ones in `text_config`."""
    image = 0 if keys.is_gguf else keys.count("image_token_id", 151655)
    keys.ignore(*IGNORED)
    text = keys.inner("text_config")
    if text is None:
        return {**read_text(keys), "image_token_id": image}
    if keys.has("tie_word_embeddings"):
        text.assume("tie_word_embeddings", keys.flag("tie_word_embeddings"))
    keys.ignore("tie_word_embeddings")
    return {**read_text(text), "model_type": keys.model_type, "image_token_id": image}


def read_text(keys: Keys) -> dict[str, Any]:
    """Fields of qwen2.Config."""
    fields = read_decoder(keys, longest=32768, kv_heads=8, rope=read_table)
    if not keys.is_gguf:
        fields |= {"attention_bias": True, "output_bias": False}
    windows = qwen2.read_windows(keys, fields["num_hidden_layers"])
    return {**fields, "rms_norm_eps": keys.positive("rms_norm_eps", 1e-5), "windows": windows}


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    sections = read_sections(keys, (16, 24, 24))
    table = read_rope(keys, head_dim, longest, theta=1e6, aliases={"mrope": "default"})
    return with_axes(keys, table, [axis for axis, count in enumerate(sections) for _ in range(count)])


def read_sections(keys: Keys, absent: tuple[int, ...]) -> tuple[int, ...]:
    """How many pairs turn by each axis."""
    keys.ignore("mrope_section")
    if keys.is_gguf:
        return keys.indices("mrope_section_of_layers") or absent
    given = keys.inner("rope_scaling") or keys.inner("rope_parameters")
    return (given.indices("mrope_section") if given else ()) or absent


def dealt(sections: Sequence[int], pairs: int) -> list[int]:
    """Axes in turns as long as height and width have some left; all others are time's. (Qwen3-VL)"""
    return [i % 3 if i < 3 * sections[i % 3] else 0 for i in range(pairs)]


def with_axes(keys: Keys, table: Rope | LongRope, axes: list[int]) -> Rope:
    if isinstance(table, LongRope):
        raise UnsupportedModel("two tables of frequencies, and several axes", where=keys.file)
    if len(axes) != len(table.inv_freq) or max(axes) > 2:
        raise FormatError(f"mrope_section is of {len(axes)} pairs, expected {len(table.inv_freq)}", where=keys.file)
    return replace(table, axes=tuple(axes))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    sees = config.vision is not None
    root = weights[prefix_of(weights)]
    return llama.stack(config, weights, rows, samples, context_length, qwen2.self_attention, root=root, sees=sees)


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    assert config.vision is not None
    return qwen2_5.encode(config.vision, weights[PREFIXES[prefix_of(weights)]])


def prefix_of(weights: Weights) -> str:
    return next((name for name in PREFIXES if weights[name]["embed_tokens"].has()), "model")
