"""CLIP's encoder of pictures, which LLaVA has.  https://arxiv.org/abs/2103.00020

SigLIP's (siglip.py), except: a row of no patch, the class's, which the others see and nothing behind the encoder reads; a norm
before the first block, and none behind the last."""

from fanlight.compiler.graph import Node
from fanlight.models.config import Keys
from fanlight.models.layers import embed_class, embed_places, linear, patches
from fanlight.models.vision import siglip
from fanlight.models.vision.siglip import Vision
from fanlight.models.weights import Weights

GGUF_NAMES = {
    **{f"vision_tower.{ours}": theirs for ours, theirs in siglip.INSIDE.items() if ours != "post_layernorm"},
    "vision_tower.embeddings.class_embedding": "v.class_embd",
    "vision_tower.pre_layrnorm": "v.pre_ln",
    "model.multi_modal_projector.linear_1": "mm.0",
    "model.multi_modal_projector.linear_2": "mm.2",
}
SIZES = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}


def read_config(keys: Keys) -> Vision:
    keys.ignore("vocab_size")
    return siglip.read_config(keys, 1, SIZES, act="quick_gelu", eps=1e-5)


def encode(config: Vision, w: Weights, layers: int) -> Node:
    """The states of a picture's patches behind so many layers, and the class's. [T + 1, C]"""
    size, inside = config.hidden_size, w["embeddings"]
    first = inside["patch_embedding"].convolution(3, config.patch_size).biased(False)
    x = linear(patches(config, has_class=True), first, size)
    rows = x.shape[0]
    x = x + embed_class(inside, rows, size, "class_embedding")
    x = x + embed_places(inside["position_embedding"], rows, rows, size, config.grid[1], first=1)
    return siglip.blocks(config, w["encoder"], siglip.norm(config, w["pre_layrnorm"], x), layers)
