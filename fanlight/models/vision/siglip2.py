"""SigLIP 2's encoder of pictures of any shape (NaFlex), which LFM2-VL has.  https://arxiv.org/abs/2502.14786

SigLIP's (siglip.py), except: a square table of learned positions is stretched over the picture."""

from dataclasses import dataclass
from math import isqrt

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import linear, patches, pick, stretch_places
from fanlight.models.vision import siglip
from fanlight.models.weights import Weights

GRID = 32, 32  # of the largest picture, in patches: a tile, or a whole picture of as many


@dataclass(frozen=True, slots=True)
class Vision:
    """Under Hugging Face's names. places: lines of the table to a side. merge: as siglip.Vision's."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    patch_size: int
    hidden_act: str
    layer_norm_eps: float
    merge: int
    places: int

    @property
    def grid(self) -> tuple[int, int]:
        """Patches one below the other, and side by side, of the largest picture."""
        return GRID


def read_config(keys: Keys, merge: int) -> Vision:
    keys.only("num_channels", 3)
    keys.ignore(*siglip.IGNORED)
    lines = keys.number("num_patches", 256)
    vision = Vision(
        hidden_size=keys.number("hidden_size", 768),
        intermediate_size=keys.number("intermediate_size", 3072),
        num_hidden_layers=keys.number("num_hidden_layers", 12),
        num_attention_heads=keys.number("num_attention_heads", 12),
        patch_size=keys.number("patch_size", 16),
        hidden_act=keys.choice("hidden_act", ACTIVATIONS, "gelu_pytorch_tanh"),
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-6),
        merge=merge,
        places=isqrt(lines),
    )
    if vision.hidden_size % (4 * vision.num_attention_heads) or GRID[0] % merge or vision.places**2 != lines:
        raise UnsupportedModel(f"an encoder of pictures of these numbers: {vision}, {lines} places", where=keys.file)
    return vision


def encode(config: Vision, w: Weights) -> Node:
    """The states of a picture's patches, merge x merge side by side. [T, C]"""
    size, x = config.hidden_size, patches(config)
    first = w["embeddings"]["patch_embedding"]
    if w.is_gguf:
        first = first.convolution(3, config.patch_size)
    else:  # a product of pixels, of which each has its three colours side by side
        area = config.patch_size**2
        x = pick(x, [channel * area + i for i in range(area) for channel in range(3)])
    x = linear(x, first, size)
    x = x + stretch_places(w["embeddings"]["position_embedding"], x.shape[0], size, config.places, is_smooth=True)
    return siglip.norm(config, w["post_layernorm"], siglip.blocks(config, w["encoder"], x, config.num_hidden_layers))
