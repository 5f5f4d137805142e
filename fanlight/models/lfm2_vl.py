"""LFM2-VL and LFM2.5-VL, Liquid's.  https://arxiv.org/abs/2511.23404

LFM2, and SigLIP 2 for pictures of any shape, of which downsample_factor x downsample_factor patches become a row, by an MLP."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import lfm2
from fanlight.models.config import Keys
from fanlight.models.layers import layer_norm, linear, merged
from fanlight.models.lfm2 import GGUF_KEYS, GGUF_LISTS, PAIRED_IN
from fanlight.models.vision import siglip, siglip2
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config", "see"]

PREFIXES = ("model.language_model", "model")  # of folders, and of GGUF files
TOWERS = ("model.vision_tower", "model.vision_tower.vision_model")  # transformers 5, 4
PROJECTOR = "model.multi_modal_projector"
NORM_EPS = 1e-5
GGUF_NAMES = {
    **lfm2.GGUF_NAMES,
    **siglip.gguf_names("model.vision_tower"),
    f"{PROJECTOR}.layer_norm": "mm.input_norm",
    f"{PROJECTOR}.linear_1": "mm.1",
    f"{PROJECTOR}.linear_2": "mm.2",
}
# Of the processor, whose own file says them too.
IGNORED = (
    "do_image_splitting encoder_patch_size max_image_tokens min_image_tokens max_num_patches max_pixels_tolerance min_tiles"
    " max_tiles tile_size use_thumbnail image_token_index"
).split()


@dataclass(frozen=True, slots=True)
class Config(lfm2.Config):
    vision: siglip2.Vision
    projector_size: int
    projector_act: str
    projector_norm: bool
    projector_bias: bool


def read_config(keys: Keys) -> Config:
    keys.only("vision_feature_layer", -1)
    keys.only("use_image_special_tokens", True)
    keys.ignore(*IGNORED)
    vision = keys.inner("vision_config") or Keys({}, keys.file)
    of = vision if keys.is_gguf else keys  # who says how pictures become rows
    text = keys if keys.is_gguf else keys.inner("text_config") or Keys({}, keys.file)
    if not keys.is_gguf:
        text.only("model_type", "lfm2")
        vision.only("model_type", "siglip2_vision_model")
    config = lfm2.read_config(text)
    fields = {name: getattr(config, name) for name in lfm2.Config.__dataclass_fields__}
    if not keys.is_gguf:  # whatever the language model's part says
        fields["tie_word_embeddings"] = keys.flag("tie_embedding", keys.flag("tie_word_embeddings", True))
    return Config(
        **{**fields, "model_type": keys.model_type},
        projector_size=of.number("projector_hidden_size", 2560),
        projector_act=of.choice("projector_hidden_act", ACTIVATIONS, "gelu"),
        projector_norm=of.flag("projector_use_layernorm", True),
        projector_bias=of.flag("projector_bias", True),
        vision=siglip2.read_config(vision, of.number("downsample_factor", 2)),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    root = next((weights[name] for name in PREFIXES if weights[name]["embed_tokens"].has()), weights[PREFIXES[0]])
    return lfm2.stack(config, weights, rows, samples, context_length, lfm2.mlp, root)


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    tower = next((weights[name] for name in TOWERS if weights[name]["post_layernorm"].has()), weights[TOWERS[0]])
    w, x = weights[PROJECTOR], merged(siglip2.encode(config.vision, tower), config.vision.merge**2)
    if config.projector_norm:
        norm = w["layer_norm"]
        x = layer_norm(x, norm.vector(x.shape[1]), norm.vector(x.shape[1], "bias"), NORM_EPS)
    first, last = (w[name].biased(config.projector_bias) for name in ("linear_1", "linear_2"))
    return linear(ACTIVATIONS[config.projector_act](linear(x, first, config.projector_size)), last, config.hidden_size)
