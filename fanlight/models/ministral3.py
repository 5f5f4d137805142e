"""Ministral 3, Mistral Small 3.1 and 3.2.  https://huggingface.co/mistralai/Ministral-3-8B-Instruct-2512
Llama, except: with Ministral's YaRN, queries grow with every so many positions. (Up to the first so many nothing grows, and
a Program for such a context has no word of it.) With a vision model beside it, it is nested in `text_config`: Pixtral's
encoder, of which a square of patches becomes a row, by one product, before the projector."""

from dataclasses import dataclass, replace

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import attend, embed, linear, put_images, rope
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.vision import pixtral
from fanlight.models.vision.projector import NAMES, Projector, merge_patches, project, read_projector
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config", "see"]

PAIRED_IN = ("gguf",)
GGUF_NAMES = {**llama.GGUF_NAMES, **pixtral.GGUF_NAMES}
MAY_BE_BLIND = True  # where no file says how pictures are read
PREFIXES = {  # of the stack -> of the head: transformers 5, 4, and the language model alone
    "model.language_model": "lm_head",
    "language_model.model": "language_model.lm_head",
    "model": "lm_head",
}
GGUF_KEYS = {"llama_4_scaling_beta": "attention.temperature_scale"}
VISION = {"image_size": 1540, "patch_size": 14}  # where there is no word of it
TOWERS = ("model.vision_tower", "vision_tower")
DEFAULT = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 16384,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    growth: tuple[float, int] | None  # (beta, L) multiplies queries by 1 + beta * ln(1 + position // L)
    vision: pixtral.Vision | None = None
    projector: Projector | None = None


def read_config(keys: Keys) -> Config:
    text, tower = keys.inner("text_config"), keys.inner("vision_config")
    if text is None and tower is None:
        return read_text(keys, keys)
    text, tower = text or keys, tower or Keys(VISION, keys.file)
    config = read_text(text, text if text.has("tie_word_embeddings") else keys)
    keys.ignore("tie_word_embeddings")
    merge = tower.number("spatial_merge_size", 1) if keys.is_gguf else keys.number("spatial_merge_size", 2)
    vision = pixtral.read_config(tower, merge)
    projector = read_projector(keys, vision.num_hidden_layers, layer=-1, has_bias=False)
    return replace(config, model_type=str(keys.model_type), vision=vision, projector=projector)


def read_text(keys: Keys, tying: Keys) -> Config:
    """tying: which say whether the head is the embedding."""
    is_old = keys.model_type == "mistral"  # without YaRN
    if not (is_old or keys.is_gguf or keys.has("rope_parameters") or keys.has("rope_scaling")):
        keys.assume("rope_parameters", DEFAULT)
    fields = read_decoder(keys, longest=131072 if is_old else 262144, kv_heads=8, head_dim=128, rope=read_table)
    fields["tie_word_embeddings"] = tying.flag("tie_word_embeddings", False)
    eps = keys.positive("rms_norm_eps", 1e-6 if is_old else 1e-5)
    return Config(**fields, rms_norm_eps=eps, growth=None if is_old else read_growth(keys, fields["max_position_embeddings"]))


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    for given in (keys.inner("rope_parameters"), keys.inner("rope_scaling")):
        if given:
            given.only("max_position_embeddings", longest)
    return read_rope(keys, head_dim, longest)


def read_growth(keys: Keys, longest: int) -> tuple[float, int] | None:
    given = keys.inner("rope_scaling") or keys.inner("rope_parameters")
    beta = (keys if keys.is_gguf else given or keys).optional_positive("llama_4_scaling_beta")
    original = given.optional_number("original_max_position_embeddings") if given else None
    return (beta, original or longest) if beta else None


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    prefix = next((name for name in PREFIXES if weights[name]["embed_tokens"].has()), "model")
    w, table = weights[prefix], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = put_images(x) if config.vision else x
    grown = config.growth if config.growth and context_length > config.growth[1] else None
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["input_layernorm"], x)
        x = x + self_attention(config, layer["self_attn"], y, i, table, grown)
        x = x + llama.mlp(config, layer["mlp"], llama.norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights[PREFIXES[prefix]], x, samples)


def see(config: Config, weights: Weights) -> Node:
    """What a picture is to the language model. [R, C]"""
    assert config.vision and config.projector
    x = pixtral.encode(config.vision, weights.among(TOWERS, "ln_pre"), config.projector.layers)
    w = weights.among(NAMES, "linear_1")
    x = merge_patches(w, x, config.vision.merge**2, config.rms_norm_eps)
    return project(config.projector, w, x, config.hidden_size)


def is_unused(config: Config, name: str) -> bool:
    return name == pixtral.BREAK


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope, growth: tuple[float, int] | None) -> Node:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    q, k, v = llama.qkv(config, w, x, table)
    x = attend(rope(q, heads, table, growth), rope(k, kv_heads, table), v, i, heads, kv_heads)  # [T, H*D]
    return linear(x, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]
