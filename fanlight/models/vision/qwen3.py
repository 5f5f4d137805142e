"""The encoder of pictures of Qwen3-VL.  https://arxiv.org/abs/2511.21631

Patches of pictures of any size, with a table of learned places stretched over the picture, which also turn by their places;
pre-norm blocks of attention over all of the picture. What some layers make goes to the language model too, each to a layer of
it (DeepStack: https://arxiv.org/abs/2406.04334)."""

from dataclasses import dataclass
from math import isqrt

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import layer_norm, linear, merged, pick, stretch_places
from fanlight.models.vision import qwen2_5
from fanlight.models.weights import Weights

EPS = 1e-6
INSIDE = {  # of GGUF files, which name what goes to the language model by the tower's layer
    **{name: theirs for name, theirs in qwen2_5.INSIDE.items() if "merger" not in name and ".attn." not in name},
    "pos_embed": "v.position_embd",
    "blocks.{i}.attn.qkv": "v.blk.{i}.attn_qkv",
    "blocks.{i}.attn.proj": "v.blk.{i}.attn_out",
    "blocks.{i}.mlp.linear_fc1": "v.blk.{i}.ffn_up",
    "blocks.{i}.mlp.linear_fc2": "v.blk.{i}.ffn_down",
    "merger.norm": "v.post_ln",
    "merger.linear_fc1": "mm.0",
    "merger.linear_fc2": "mm.2",
    "deepstack_merger_list.{i}.norm": "v.deepstack.{i}.norm",
    "deepstack_merger_list.{i}.linear_fc1": "v.deepstack.{i}.fc1",
    "deepstack_merger_list.{i}.linear_fc2": "v.deepstack.{i}.fc2",
}


@dataclass(frozen=True, slots=True)
class Vision(qwen2_5.Encoder):
    """places: lines of the table to a side. deep: the layers whose states go to the language model, in the order of its
    layers."""

    hidden_act: str
    places: int
    deep: tuple[int, ...]


def read_config(keys: Keys, deep: tuple[int, ...] = (8, 16, 24)) -> Vision:
    """deep: where the file does not say."""
    keys.only("in_channels", 3)
    keys.only("temporal_patch_size", qwen2_5.MOMENTS)
    qwen2_5.read_places(keys)
    lines = keys.number("num_position_embeddings", 2304)
    vision = Vision(
        hidden_size=keys.number("hidden_size", 1152),
        intermediate_size=keys.number("intermediate_size", 4304),
        num_hidden_layers=keys.number("depth", 27),
        num_attention_heads=keys.number("num_heads", 16),
        out_hidden_size=keys.number("out_hidden_size", 3584),
        patch_size=keys.number("patch_size", 16),
        hidden_act=keys.choice("hidden_act", ACTIVATIONS, "gelu_pytorch_tanh"),
        merge=keys.number("spatial_merge_size", 2),
        places=isqrt(lines),
        deep=keys.indices("deepstack_visual_indexes") if keys.has("deepstack_visual_indexes") else deep,
    )
    fits = vision.grid[0] % vision.merge == 0 and vision.places**2 == lines
    fits = fits and set(vision.deep) <= {*range(vision.num_hidden_layers)}
    if vision.hidden_size % (8 * vision.num_attention_heads) or not fits:
        raise UnsupportedModel(f"an encoder of pictures of these numbers: {vision}", where=keys.file)
    return vision


def encode(config: Vision, w: Weights) -> Node:
    """Rows of the language model, and beside them those for its first layers. [T/merge^2, (1 + deep)*out_hidden_size]"""
    size = config.hidden_size
    x = qwen2_5.first_product(config, w["patch_embed.proj"])
    x = x + stretch_places(w["pos_embed"], x.shape[0], size, config.places)
    deep: dict[int, Node] = {}
    for i, layer in enumerate(w.layers(config.num_hidden_layers, "blocks")):
        x = x + qwen2_5.attention(config, layer["attn"], norm(layer["norm1"], x))
        x = x + mlp(config, layer["mlp"], norm(layer["norm2"], x))
        if i in config.deep:
            stem = w[f"deepstack_merger_list.{i if w.is_gguf else config.deep.index(i)}"]
            deep[i] = merger(config, stem, norm(stem["norm"], merged(x, config.merge**2)))
    made = merger(config, w["merger"], merged(norm(w["merger.norm"], x), config.merge**2))
    for i in config.deep:
        made = pick(made, range(made.shape[1] + config.out_hidden_size), deep[i])
    return made


def norm(w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(x.shape[1]), w.vector(x.shape[1], "bias"), EPS)


def mlp(config: Vision, w: Weights, x: Node) -> Node:
    inside = ACTIVATIONS[config.hidden_act](linear(x, w["linear_fc1"], config.intermediate_size))
    return linear(inside, w["linear_fc2"], config.hidden_size)


def merger(config: Vision, w: Weights, x: Node) -> Node:
    return linear(ACTIVATIONS["gelu"](linear(x, w["linear_fc1"], x.shape[1])), w["linear_fc2"], config.out_hidden_size)
