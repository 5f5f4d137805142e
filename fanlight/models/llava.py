"""LLaVA 1.5, and Pixtral 12B.  https://arxiv.org/abs/2310.03744  https://arxiv.org/abs/2410.07073

Llama or Mistral, and an encoder of pictures, CLIP's or Pixtral's: the states behind one of its layers become rows by a
projector of two products."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.models import llama, mistral
from fanlight.models.config import Keys
from fanlight.models.llama import PAIRED_IN
from fanlight.models.vision import clip, pixtral, projector, siglip
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "MAY_BE_BLIND", "PAIRED_IN", "Config", "forward", "is_unused", "read_config", "see"]

GGUF_NAMES = {**llama.GGUF_NAMES, **pixtral.GGUF_NAMES, **clip.GGUF_NAMES}
MAY_BE_BLIND = True  # where no file says how pictures are read
STACKS = {  # of the language model -> where its head is: transformers 5, 4, and the language model alone
    "model.language_model": "",
    "language_model.model": "language_model",
    "model": "",
}
TOWERS = ("model.vision_tower", "vision_tower.vision_model", "model.vision_tower.vision_model", "vision_tower")
SIZES = {  # of language models whose files leave them out
    kind: dict(
        zip(("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"), sizes, strict=True)
    )
    for kind, sizes in {"llama": (32000, 4096, 11008, 32, 32), "mistral": (32000, 4096, 14336, 32, 32)}.items()
}
STRATEGIES = {"clip_vision_model": "default", "pixtral": "full"}  # without the class's row, which Pixtral has not
IGNORED = ("ignore_index", "image_seq_length", "vocab_size")


@dataclass(frozen=True, slots=True)
class Config(mistral.Config):
    vision: siglip.Vision | pixtral.Vision | None
    projector: projector.Projector


def read_config(keys: Keys) -> Config:
    if keys.is_gguf:
        return read_gguf(keys)
    text = keys.inner("text_config") or Keys({}, keys.file)
    vision = keys.inner("vision_config") or Keys({}, keys.file)
    keys.ignore(*IGNORED)
    kind = vision.choice("model_type", STRATEGIES, "clip_vision_model")
    strategy = keys.choice("vision_feature_select_strategy", ("default", "full"), "default")
    if strategy != STRATEGIES[kind]:
        name = keys.name("vision_feature_select_strategy")
        raise UnsupportedModel(f"{name} is {strategy!r}; of {kind} expected {STRATEGIES[kind]!r}", where=keys.file)
    tower = pixtral.read_config(vision, 1) if kind == "pixtral" else clip.read_config(vision)
    return Config(
        **{
            **read_text(text, keys.flag("tie_word_embeddings", False)),
            "model_type": "pixtral" if kind == "pixtral" else "llava",
        },
        vision=tower,
        projector=projector.read_projector(keys, tower.num_hidden_layers, layer=-2, has_bias=True),
    )


def read_gguf(keys: Keys) -> Config:
    """An encoder beside what calls itself llama. Of CLIP's the file has the blocks that are computed, and no other."""
    vision = keys.inner("vision_config") or Keys({}, keys.file)
    is_clip = vision.choice("model_type", STRATEGIES, "pixtral") != "pixtral"
    tower = clip.read_config(vision) if is_clip else pixtral.read_config(vision, vision.number("spatial_merge_size", 1))
    fields = {**fields_of(llama.read_config(keys)), "model_type": "llava" if is_clip else "pixtral"}
    return Config(**fields, vision=tower, projector=projector.read_projector(keys, tower.num_hidden_layers, -1, False))


def read_text(keys: Keys, is_tied: bool) -> dict[str, Any]:
    """Fields of mistral.Config. is_tied: whatever the language model's own keys say."""
    kind = keys.choice("model_type", SIZES, "llama")
    for name, size in SIZES[kind].items():
        keys.assume(name, size)
    config = (mistral if kind == "mistral" else llama).read_config(keys)
    return fields_of(config) | {"tie_word_embeddings": is_tied or config.tie_word_embeddings}


def fields_of(config: llama.Config) -> dict[str, Any]:
    """Of mistral.Config; llama's has no window."""
    return {name: getattr(config, name, None) for name in mistral.Config.__dataclass_fields__}


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    root = weights.among(STACKS, "embed_tokens")
    whole = weights[STACKS[root.name]]
    sees = config.vision is not None
    return llama.stack(config, whole, rows, samples, context_length, mistral.self_attention, root=root, sees=sees)


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    assert config.vision
    layers = config.projector.layers
    if isinstance(config.vision, pixtral.Vision):
        x = pixtral.encode(config.vision, weights.among(TOWERS, "ln_pre"), layers)
    else:
        x = clip.encode(config.vision, weights.among(TOWERS, "pre_layrnorm"), layers)
    w = weights.among(projector.NAMES, "linear_1")
    if config.vision.merge > 1:
        x = projector.merge_patches(w, x, config.vision.merge**2, config.rms_norm_eps)
    return projector.project(config.projector, w, x, config.hidden_size)


def is_unused(config: Config, name: str) -> bool:
    return name == pixtral.BREAK
