"""The encoder of pictures of Qwen2-VL.  https://arxiv.org/abs/2409.12191

Qwen2.5-VL's (qwen2_5.py), except: LayerNorm, an MLP without a gate, and attention over all of the picture in every layer."""

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import layer_norm, linear, merged
from fanlight.models.vision import qwen2_5
from fanlight.models.vision.qwen2_5 import Encoder
from fanlight.models.weights import Weights

INSIDE = {  # of GGUF files
    **qwen2_5.INSIDE,
    "blocks.{i}.mlp.fc1": "v.blk.{i}.ffn_up",
    "blocks.{i}.mlp.fc2": "v.blk.{i}.ffn_down",
}
IGNORED = ("spatial_patch_size", "in_chans", "initializer_range")


def read_config(keys: Keys) -> Encoder:
    keys.only("in_channels", 3)
    keys.only("temporal_patch_size", qwen2_5.MOMENTS)
    keys.only("hidden_act", "quick_gelu")
    keys.ignore(*IGNORED)
    qwen2_5.read_places(keys)
    size = keys.number("embed_dim", 1280)  # of the encoder
    vision = Encoder(
        hidden_size=size,
        intermediate_size=size * keys.number("mlp_ratio", 4),
        num_hidden_layers=keys.number("depth", 32),
        num_attention_heads=keys.number("num_heads", 16),
        out_hidden_size=keys.number("hidden_size", 3584),
        patch_size=keys.number("patch_size", 14),
        merge=keys.number("spatial_merge_size", 2),
    )
    if size % (8 * vision.num_attention_heads) or vision.grid[0] % vision.merge:
        raise UnsupportedModel(f"an encoder of pictures of these numbers: {vision}", where=keys.file)
    return vision


def encode(config: Encoder, w: Weights) -> Node:
    """Rows of the language model. [T/merge^2, out_hidden_size]"""
    x = qwen2_5.first_product(config, w["patch_embed.proj"])
    for layer in w.layers(config.num_hidden_layers, "blocks"):
        x = x + qwen2_5.attention(config, layer["attn"], norm(layer["norm1"], x))
        x = x + mlp(config, layer["mlp"], norm(layer["norm2"], x))
    x = merged(norm(w["merger.ln_q"], x), config.merge**2)
    x = ACTIVATIONS["gelu"](linear(x, w["merger.mlp.0"], x.shape[1]))
    return linear(x, w["merger.mlp.2"], config.out_hidden_size)


def norm(w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(x.shape[1]), w.vector(x.shape[1], "bias"), qwen2_5.EPS)


def mlp(config: Encoder, w: Weights, x: Node) -> Node:
    inside = ACTIVATIONS["quick_gelu"](linear(x, w["fc1"], config.intermediate_size))
    return linear(inside, w["fc2"], config.hidden_size)
