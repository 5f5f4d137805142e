"""SigLIP's encoder of pictures, which Idefics 3, SmolVLM and Gemma 3 have.  https://arxiv.org/abs/2303.15343

Patches of one size of picture, learned positions, pre-norm blocks of attention both ways and an MLP without a gate."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, embed_places, layer_norm, linear, patches
from fanlight.models.weights import Weights

IGNORED = ("vision_use_head", "size", "max_image_size", "projection_dim")  # a head for other tasks; sizes of the processor


INSIDE = {  # of GGUF files
    "embeddings.patch_embedding": "v.patch_embd",
    "embeddings.position_embedding": "v.position_embd",
    "encoder.layers.{i}.layer_norm1": "v.blk.{i}.ln1",
    "encoder.layers.{i}.layer_norm2": "v.blk.{i}.ln2",
    "encoder.layers.{i}.self_attn.q_proj": "v.blk.{i}.attn_q",
    "encoder.layers.{i}.self_attn.k_proj": "v.blk.{i}.attn_k",
    "encoder.layers.{i}.self_attn.v_proj": "v.blk.{i}.attn_v",
    "encoder.layers.{i}.self_attn.out_proj": "v.blk.{i}.attn_out",
    "encoder.layers.{i}.mlp.fc1": "v.blk.{i}.ffn_up",
    "encoder.layers.{i}.mlp.fc2": "v.blk.{i}.ffn_down",
    "post_layernorm": "v.post_ln",
}


@dataclass(frozen=True, slots=True)
class Vision:
    """Under Hugging Face's names. merge: merge x merge patches become a row of the language model."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    hidden_act: str
    layer_norm_eps: float
    merge: int
    both_ways: bool = False  # whether the rows of a picture see each other in the language model

    @property
    def grid(self) -> tuple[int, int]:
        """Patches one below the other, and side by side."""
        side = self.image_size // self.patch_size
        return side, side


def read_config(
    keys: Keys,
    merge: int,
    sizes: dict[str, int],
    both_ways: bool = False,
    act: str = "gelu_pytorch_tanh",
    eps: float = 1e-6,
) -> Vision:
    """sizes, act, eps: of files that leave them out."""
    keys.only("num_channels", 3)
    keys.ignore(*IGNORED)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    read = {name: keys.number(name, sizes[name]) for name in names}
    act = keys.choice("hidden_act", ACTIVATIONS, act)
    eps = keys.positive("layer_norm_eps", eps)
    vision = Vision(**read, hidden_act=act, layer_norm_eps=eps, merge=merge, both_ways=both_ways)
    if vision.hidden_size % (4 * vision.num_attention_heads) or vision.grid[0] % merge:
        raise UnsupportedModel(
            f"{keys.name('hidden_size')} {vision.hidden_size} for {vision.num_attention_heads} heads, and {vision.grid[0]}"
            f" patches to a side; expected multiples of 4 each, and of {merge}",
            where=keys.file,
        )
    return vision


def gguf_names(prefix: str) -> dict[str, str]:
    return {f"{prefix}.{ours}": theirs for ours, theirs in INSIDE.items()}


def encode(config: Vision, w: Weights) -> Node:
    """The states of a picture's patches, merge x merge side by side. [T, C]"""
    size, width = config.hidden_size, config.grid[1]
    x = linear(patches(config), w["embeddings"]["patch_embedding"].convolution(3, config.patch_size), size)
    x = x + embed_places(w["embeddings"]["position_embedding"], x.shape[0], x.shape[0], size, width)
    return norm(config, w["post_layernorm"], blocks(config, w["encoder"], x, config.num_hidden_layers))


def blocks(config: Any, w: Weights, x: Node, layers: int) -> Node:
    for layer in w.layers(layers):
        x = x + attention(config, layer["self_attn"], norm(config, layer["layer_norm1"], x))
        x = x + mlp(config, layer["mlp"], norm(config, layer["layer_norm2"], x))
    return x


def norm(config: Any, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), config.layer_norm_eps)


def attention(config: Any, w: Weights, x: Node) -> Node:
    heads, size = config.num_attention_heads, config.hidden_size
    q, k, v = (linear(x, w[name], size) for name in ("q_proj", "k_proj", "v_proj"))
    return linear(attend_all(q, k, v, heads, heads), w["out_proj"], size)


def mlp(config: Any, w: Weights, x: Node) -> Node:
    return linear(ACTIVATIONS[config.hidden_act](linear(x, w["fc1"], config.intermediate_size)), w["fc2"], config.hidden_size)
