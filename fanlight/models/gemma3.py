"""Gemma 3.  https://arxiv.org/abs/2503.19786
Gemma 2, except: norms of every query and key head instead of softcaps, five layers with a sliding window to one without, and
RoPE frequencies of their own for either kind. With a vision model beside it, it is nested in `text_config`: SigLIP, of which a
square of patches becomes a row, their mean; the rows of a picture see each other."""

import math
from dataclasses import dataclass, replace
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.models import gemma, gemma2, llama
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL, SLIDING, Decoder, sliding_in_turns, windows
from fanlight.models.layers import linear, mean_of, put_images, rms_norm
from fanlight.models.rope import IGNORED, LongRope, Rope, rope_of
from fanlight.models.vision import siglip
from fanlight.models.weights import Weights

PAIRED_IN = ()
MAY_BE_BLIND = True  # where no file says how pictures are read

GGUF_NAMES = {
    **gemma2.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
    "dense_2": "dense_2",  # EmbeddingGemma's, after pooling
    "dense_3": "dense_3",
    **siglip.gguf_names("model.vision_tower"),
    "model.multi_modal_projector.mm_soft_emb_norm": "mm.soft_emb_norm",
    "model.multi_modal_projector.mm_input_projection": "mm.input_projection",
}
TOWERS = ("model.vision_tower", "model.vision_tower.vision_model", "vision_tower.vision_model")  # transformers 5, 4
PROJECTORS = ("model.multi_modal_projector", "multi_modal_projector")
VISION_SIZES = {  # where vision_config leaves them out
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
}
SIZES = {
    "vocab_size": 262208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    query_pre_attn_scalar: float
    attn_logit_softcapping: float | None
    final_logit_softcapping: float | None
    windows: tuple[int | None, ...]
    sliding_rope: Rope | LongRope  # of the layers with a window
    use_bidirectional_attention: bool = False  # EmbeddingGemma's
    vision: siglip.Vision | None = None


def read_config(keys: Keys) -> Config:
    text = keys if keys.is_gguf else keys.inner("text_config")
    if text is None:
        return read_text(keys)
    config, vision = read_text(text), keys.inner("vision_config")
    rows = None if keys.is_gguf else keys.number("mm_tokens_per_image", 256)
    keys.only("tie_word_embeddings", config.tie_word_embeddings)
    return replace(config, model_type=str(keys.model_type), vision=read_vision(vision, rows)) if vision else config


def read_vision(keys: Keys, rows: int | None) -> siglip.Vision:
    """rows: that a picture becomes; GGUF files say how many patches are a row's side."""
    side = keys.number("image_size", VISION_SIZES["image_size"]) // keys.number("patch_size", VISION_SIZES["patch_size"])
    merge = keys.number("scale_factor", 4) if rows is None else max(1, side // math.isqrt(rows))
    rows = (side // merge) ** 2 if rows is None else rows
    if rows * merge**2 != side**2 or merge & (merge - 1):
        message = f"{side} patches to a side become {rows} rows; expected squares of patches whose sides are a power of two"
        raise UnsupportedModel(message, where=keys.file)
    return siglip.read_config(keys, merge, VISION_SIZES, both_ways=True)


def read_text(keys: Keys) -> Config:
    fields = gemma2.read_fields(keys, longest=131072, layers_of_27b=62, sizes={} if keys.is_gguf else SIZES, rope=read_rope)
    is_sliding = sliding_in_turns(keys, fields["num_hidden_layers"], 6)
    keys.only("attn_logit_softcapping", None)  # neither transformers nor llama.cpp applies it
    window = keys.optional_number("sliding_window") if keys.is_gguf else keys.number("sliding_window", 4096)
    return Config(
        **fields,
        attn_logit_softcapping=None,
        final_logit_softcapping=keys.optional_positive("final_logit_softcapping"),
        windows=windows(is_sliding, window),
        use_bidirectional_attention=keys.flag("use_bidirectional_attention", False),
        sliding_rope=read_sliding_rope(keys, fields["head_dim"], fields["max_position_embeddings"]),
    )


def read_rope(keys: Keys, head_dim: int, longest: int, theta: float = 1e6) -> Rope | LongRope:
    """Of the layers without a window. `rope_scaling` means these alone."""
    scaling, given = keys.inner("rope_scaling"), keys.inner("rope_parameters")
    full = (given.inner(FULL) if given else None) or Keys({}, keys.file)
    theta = full.positive("rope_theta", keys.positive("rope_theta", theta))
    keys.only("rotary_dim", head_dim)
    if scaling:
        full.ignore(*IGNORED)
        scaling.only("attn_factor", 1.0)  # GGUF's; llama.cpp applies it to the other layers too
    parameters = scaling or full
    return rope_of(parameters, parameters.positive("rope_theta", theta), head_dim, None, longest)


def read_sliding_rope(keys: Keys, head_dim: int, longest: int, theta: float = 1e4) -> Rope | LongRope:
    given = keys.inner("rope_parameters")
    sliding = (given.inner(SLIDING) if given else None) or Keys({}, keys.file)
    theta = sliding.positive("rope_theta", keys.positive("rope_local_base_freq", theta))
    return rope_of(sliding, theta, head_dim, None, longest)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = gemma.language_model(weights)
    x = gemma.embeddings(config, w["embed_tokens"], rows)
    x = put_images(x) if config.vision else x
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        table = (config.sliding_rope if config.windows[i] else config.rope).at(context_length)
        x = gemma2.block(config, layer, x, self_attention, i, table)
    return gemma2.head(config, w, weights["lm_head"], x, samples)


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    assert config.vision
    vision = config.vision
    tower = next((weights[name] for name in TOWERS if weights[name]["post_layernorm"].has()), weights[TOWERS[0]])
    w = next((weights[name] for name in PROJECTORS if weights[name]["mm_soft_emb_norm"].has()), weights[PROJECTORS[0]])
    x = mean_of(siglip.encode(vision, tower), vision.merge**2)
    norm = w["mm_soft_emb_norm"]
    x = rms_norm(x, gemma.plus_one(norm, norm.vector(vision.hidden_size)), vision.layer_norm_eps)
    return linear(x, w["mm_input_projection"].turned(in_gguf=True), config.hidden_size)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope, **options: Any) -> Node:
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (w[name].paired(config.head_dim, table.rotary) for name in ("q_norm", "k_norm"))
    q = rms_norm(q, gemma.plus_one(wq, wq.vector(config.head_dim)), config.rms_norm_eps, config.num_attention_heads)
    k = rms_norm(k, gemma.plus_one(wk, wk.vector(config.head_dim)), config.rms_norm_eps, config.num_key_value_heads)
    return llama.turn_and_attend(config, w, q, k, v, i, table, **options)
