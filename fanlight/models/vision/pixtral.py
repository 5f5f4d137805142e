"""Pixtral's encoder of pictures, which Mistral Small 3.1 and 3.2 and Ministral 3 have too.  https://arxiv.org/abs/2410.07073

Patches of pictures of any size, which turn by their places; pre-norm blocks of attention over all of the picture with a gated
MLP. Nothing has a bias."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, linear, patches, rms_norm, rope
from fanlight.models.rope import Rope
from fanlight.models.vision.qwen2_5 import GRID
from fanlight.models.weights import Weights

EPS = 1e-5  # transformers', whatever a folder says
INSIDE = {  # of GGUF files
    "patch_conv": "v.patch_embd",
    "ln_pre": "v.pre_ln",
    "transformer.layers.{i}.attention_norm": "v.blk.{i}.ln1",
    "transformer.layers.{i}.ffn_norm": "v.blk.{i}.ln2",
    "transformer.layers.{i}.attention.q_proj": "v.blk.{i}.attn_q",
    "transformer.layers.{i}.attention.k_proj": "v.blk.{i}.attn_k",
    "transformer.layers.{i}.attention.v_proj": "v.blk.{i}.attn_v",
    "transformer.layers.{i}.attention.o_proj": "v.blk.{i}.attn_out",
    "transformer.layers.{i}.feed_forward.gate_proj": "v.blk.{i}.ffn_gate",
    "transformer.layers.{i}.feed_forward.up_proj": "v.blk.{i}.ffn_up",
    "transformer.layers.{i}.feed_forward.down_proj": "v.blk.{i}.ffn_down",
}
GGUF_NAMES = {f"vision_tower.{ours}": theirs for ours, theirs in INSIDE.items()} | {
    "multi_modal_projector.norm": "mm.input_norm",
    "multi_modal_projector.patch_merger.merging_layer": "mm.patch_merger",
    "multi_modal_projector.linear_1": "mm.1",
    "multi_modal_projector.linear_2": "mm.2",
}
BREAK = "v.token_embd.img_break"  # the language model's own embedding of a token, once more
IGNORED = ("tie_word_embeddings", "vocab_size")


@dataclass(frozen=True, slots=True)
class Vision:
    """Under Hugging Face's names. merge: merge x merge patches become a row of the language model. theta: of the places by
    which patches turn."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    hidden_act: str
    merge: int
    theta: float
    eps: float

    @property
    def grid(self) -> tuple[int, int]:
        """Patches one below the other, and side by side, of the largest picture."""
        side = min(GRID[0], self.image_size // self.patch_size) // self.merge * self.merge
        return side, side

    @property
    def table(self) -> Rope:
        """Every other frequency is of the place from above, those between of that from the left."""
        size = self.hidden_size // self.num_attention_heads
        frequencies = tuple(self.theta ** (-2 * i / size) for i in range(size // 2))
        return Rope(frequencies[0::2] + frequencies[1::2], axes=(0,) * (size // 4) + (1,) * (size // 4))


def read_config(keys: Keys, merge: int) -> Vision:
    keys.only("num_channels", 3)
    keys.ignore(*IGNORED)
    vision = Vision(
        hidden_size=keys.number("hidden_size", 1024),
        intermediate_size=keys.number("intermediate_size", 4096),
        num_hidden_layers=keys.number("num_hidden_layers", 24),
        num_attention_heads=keys.number("num_attention_heads", 16),
        image_size=keys.number("image_size", 1024),
        patch_size=keys.number("patch_size", 16),
        hidden_act=keys.choice("hidden_act", ACTIVATIONS, "gelu"),
        merge=merge,
        theta=read_theta(keys),
        eps=keys.positive("layer_norm_eps") if keys.is_gguf else EPS,
    )
    keys.only("head_dim", vision.hidden_size // vision.num_attention_heads)
    if vision.hidden_size % (4 * vision.num_attention_heads) or not vision.grid[0]:
        raise UnsupportedModel(
            f"{keys.name('hidden_size')} {vision.hidden_size} for {vision.num_attention_heads} heads, and pictures of up to"
            f" {vision.image_size} pixels in patches of {vision.patch_size}, {merge} to a side of a row",
            where=keys.file,
        )
    return vision


def read_theta(keys: Keys) -> float:
    keys.only("rope_scaling", None)
    theta, parameters = keys.positive("rope_theta", 10000.0), keys.inner("rope_parameters")
    if parameters is None:
        return theta
    parameters.choice("rope_type", ("axial", "default"), "axial")  # of which the first is what the second means here
    return parameters.positive("rope_theta", theta)


def encode(config: Vision, w: Weights, layers: int) -> Node:
    """The states of a picture's patches behind so many layers, merge x merge side by side. [T, C]"""
    x = linear(patches(config), w["patch_conv"].convolution(3, config.patch_size), config.hidden_size)
    x = norm(config, w["ln_pre"], x)
    for layer in w["transformer"].layers(layers):
        x = x + attention(config, layer["attention"], norm(config, layer["attention_norm"], x))
        x = x + mlp(config, layer["feed_forward"], norm(config, layer["ffn_norm"], x))
    return x


def norm(config: Vision, w: Weights, x: Node) -> Node:
    return rms_norm(x, w.vector(config.hidden_size), config.eps)


def attention(config: Vision, w: Weights, x: Node) -> Node:
    heads, size, table = config.num_attention_heads, config.hidden_size, config.table
    wq, wk = (w[name].paired(size // heads, table.rotary) for name in ("q_proj", "k_proj"))
    q, k = (rope(linear(x, part, size), heads, table, of_patches=True) for part in (wq, wk))
    return linear(attend_all(q, k, linear(x, w["v_proj"], size), heads, heads), w["o_proj"], size)


def mlp(config: Vision, w: Weights, x: Node) -> Node:
    gate, up = (linear(x, w[name], config.intermediate_size) for name in ("gate_proj", "up_proj"))
    return linear(ACTIVATIONS[config.hidden_act](gate) * up, w["down_proj"], config.hidden_size)
