"""The encoder of pictures of Qwen2.5-VL.  https://arxiv.org/abs/2502.13923

Patches of pictures of any size, which turn by their places; pre-norm blocks with a gated MLP. Attention is within windows of
side x side patches but in a few layers; two kernels of the first product, of two moments of a film, see the same picture."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node, make
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, linear, merged, patches, pick, rms_norm, rope
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

EPS = 1e-6
MOMENTS = 2  # of a film, that the first product takes together
GRID = 64, 64  # of the largest picture that is read; published files name far larger ones
THETA = 10000.0
INSIDE = {  # of GGUF files, whose first product is two, one for each moment
    "patch_embed.proj": "v.patch_embd",
    "patch_embed.proj.weight": "v.patch_embd.weight",
    "blocks.{i}.norm1": "v.blk.{i}.ln1",
    "blocks.{i}.norm2": "v.blk.{i}.ln2",
    "blocks.{i}.attn.q": "v.blk.{i}.attn_q",
    "blocks.{i}.attn.k": "v.blk.{i}.attn_k",
    "blocks.{i}.attn.v": "v.blk.{i}.attn_v",
    "blocks.{i}.attn.proj": "v.blk.{i}.attn_out",
    "merger.ln_q": "v.post_ln",
    "merger.mlp.0": "mm.0",
    "merger.mlp.2": "mm.2",
}
GATED = {f"blocks.{{i}}.mlp.{part}_proj": f"v.blk.{{i}}.ffn_{part}" for part in ("gate", "up", "down")}
IGNORED = ("tokens_per_second", "spatial_patch_size", "initializer_range")  # of films; what patch_size says


@dataclass(frozen=True, slots=True)
class Encoder:
    """What Qwen's encoders of pictures have in common. merge: merge x merge patches become a row of the language model."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    out_hidden_size: int
    patch_size: int
    merge: int

    @property
    def grid(self) -> tuple[int, int]:
        """Patches one below the other, and side by side, of the largest picture."""
        return GRID

    @property
    def table(self) -> Rope:
        return places(self.hidden_size // self.num_attention_heads, THETA)


@dataclass(frozen=True, slots=True)
class Vision(Encoder):
    """side: patches to a side of a window. whole: the layers that see all of the picture."""

    hidden_act: str
    side: int
    whole: tuple[int, ...]


def gguf_names(inside: dict[str, str]) -> dict[str, str]:
    return {f"visual.{ours}": theirs for ours, theirs in inside.items()}


def places(head_dim: int, theta: float) -> Rope:
    """A quarter of a head's elements turn in pairs with another by the place from above, another by that from the left."""
    half = tuple(theta ** (-4 * i / head_dim) for i in range(head_dim // 4))
    return Rope(half + half, axes=(0,) * len(half) + (1,) * len(half))


def read_config(keys: Keys) -> Vision:
    for name in ("in_channels", "in_chans"):
        keys.only(name, 3)
    keys.only("temporal_patch_size", MOMENTS)
    keys.ignore(*IGNORED)
    patch, merge, window = keys.number("patch_size", 14), keys.number("spatial_merge_size", 2), keys.number("window_size", 112)
    vision = Vision(
        hidden_size=keys.number("hidden_size", 3584),
        intermediate_size=keys.number("intermediate_size", 3420),
        num_hidden_layers=keys.number("depth", 32),
        num_attention_heads=keys.number("num_heads", 16),
        out_hidden_size=keys.number("out_hidden_size", 3584),
        patch_size=patch,
        hidden_act=keys.choice("hidden_act", ACTIVATIONS, "silu"),
        merge=merge,
        side=window // merge // patch * merge,
        whole=keys.indices("fullatt_block_indexes") if keys.has("fullatt_block_indexes") else (7, 15, 23, 31),
    )
    read_places(keys)
    if vision.hidden_size % (8 * vision.num_attention_heads) or not vision.side or GRID[0] % merge:
        raise UnsupportedModel(
            f"{keys.name('hidden_size')} {vision.hidden_size} for {vision.num_attention_heads} heads, windows of {window}"
            f" pixels and patches of {patch}, {merge} to a side of a row",
            where=keys.file,
        )
    return vision


def read_places(keys: Keys) -> None:
    parameters = keys.inner("rope_parameters")
    if parameters:
        parameters.only("rope_type", "axial")
        parameters.only("rope_theta", THETA)


def encode(config: Vision, w: Weights) -> Node:
    """Rows of the language model, in the order of windows. [T/merge^2, out_hidden_size]"""
    x = first_product(config, w["patch_embed.proj"], config.side)
    for i, layer in enumerate(w.layers(config.num_hidden_layers, "blocks")):
        side = 0 if i in config.whole else config.side
        x = x + attention(config, layer["attn"], norm(config, layer["norm1"], x), side)
        x = x + mlp(config, layer["mlp"], norm(config, layer["norm2"], x))
    w, width = w["merger"], config.hidden_size * config.merge**2
    x = merged(norm(config, w["ln_q"], x), config.merge**2)
    return linear(ACTIVATIONS["gelu"](linear(x, w["mlp.0"], width)), w["mlp.2"], config.out_hidden_size)


def first_product(config: Any, w: Weights, side: int = 0) -> Node:
    """Of each patch, seen at all moments. [T, C]"""
    x, area = patches(config, side=side), config.patch_size**2
    if w.is_gguf:
        later = w["weight"].convolution(3, config.patch_size).matrix(config.hidden_size, 3 * area, kind="1")
        x, again = linear(x, w.convolution(3, config.patch_size), config.hidden_size), x
        return x + make("linear", {"x": again, "weight": later}, x.shape, w.name)
    x = pick(x, [area * channel + i for channel in range(3) for _ in range(MOMENTS) for i in range(area)])
    return linear(x, w.convolution(3, MOMENTS, config.patch_size, config.patch_size), config.hidden_size)


def norm(config: Vision, w: Weights, x: Node) -> Node:
    return rms_norm(x, w.vector(config.hidden_size), EPS)


def attention(config: Any, w: Weights, x: Node, side: int = 0) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    wq, wk, wv = w["qkv"].split(size, size, size) if w["qkv"].has() else (w["q"], w["k"], w["v"])
    wq, wk = (part.paired(size // heads, size // heads) for part in (wq, wk))
    q, k = (rope(linear(x, part, size), heads, config.table, of_patches=True) for part in (wq, wk))
    return linear(attend_all(q, k, linear(x, wv, size), heads, heads, side=side), w["proj"], size)


def mlp(config: Vision, w: Weights, x: Node) -> Node:
    gate, up = (linear(x, w[name], config.intermediate_size) for name in ("gate_proj", "up_proj"))
    return linear(ACTIVATIONS[config.hidden_act](gate) * up, w["down_proj"], config.hidden_size)
