"""Idefics 3, and what is built as it: SmolVLM.  https://arxiv.org/abs/2408.12637

Llama, and SigLIP for pictures, of which scale_factor x scale_factor patches become one row, by one product."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.layers import linear, merged
from fanlight.models.vision import siglip
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)
GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **siglip.gguf_names("model.vision_model"),
    "model.connector.modality_projection.proj": "mm.model.fc",
}
PREFIXES = ("model.text_model", "model")  # with a tower beside it, and alone
SIZES = {
    "hidden_size": 1152,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 32,
}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    vision: siglip.Vision | None


def read_config(keys: Keys) -> Config:
    vision = keys.inner("vision_config") or Keys({}, keys.file)
    if keys.is_gguf:
        text, merge = keys, vision.number("scale_factor")
    else:
        text, merge = keys.inner("text_config") or Keys({}, keys.file), keys.number("scale_factor", 2)
        text.assume("rms_norm_eps", 1e-5)
        text.assume("tie_word_embeddings", keys.flag("tie_word_embeddings", False))
        text.ignore("pixel_shuffle_factor", "use_resampler", "qk_layer_norms", "neftune_noise_alpha", "perceiver_config")
    config = llama.read_config(text)
    fields = {name: getattr(config, name) for name in llama.Config.__dataclass_fields__}
    return Config(**{**fields, "model_type": keys.model_type}, vision=siglip.read_config(vision, merge, SIZES))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = next((weights[name] for name in PREFIXES if weights[name]["embed_tokens"].has()), weights["model"])
    return llama.stack(
        config, weights, rows, samples, context_length, llama.self_attention, root=w, sees=config.vision is not None
    )


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    assert config.vision
    x = merged(siglip.encode(config.vision, weights["model.vision_model"]), config.vision.merge**2)
    return linear(x, weights["model.connector.modality_projection.proj"], config.hidden_size)
