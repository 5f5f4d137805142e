"""Tiny random checkpoints of architectures that take pictures in: one for each tower, and for what stands between it and the
language model. Drawn and written as tiny_models does; pictures are drawn too, as bytes of the size that the tower reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_uniform, draw_weight, draw_words, heads, write_folder
from scripts.golden.tiny_parts import SHARED, SILU, Shapes, attention, default_rope, gated_mlp, linear, norms

IMAGE = 200  # the token that stands for a row of a picture
TEXT_IDS = 3, 190
LLAMA = {**SHARED, "model_type": "llama", "rms_norm_eps": 1e-5, **heads(6, 2, 16), **SILU, **default_rope(10000.0)}


@dataclass(frozen=True, slots=True)
class TinyVision:
    """rows: of the language model, that a picture takes. size: pixels to a side. mean, std: of the processor."""

    config: dict[str, Any]
    shapes: Callable[[dict[str, Any]], Shapes]
    rows: int
    size: int
    mean: float = 0.5
    std: float = 0.5
    about: str = ""


def text_shapes(config: dict[str, Any], stem: str, head: str = "lm_head") -> Shapes:
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    yield f"{stem}.embed_tokens.weight", (vocab, hidden)
    for layer in range(config["num_hidden_layers"]):
        for part, shape in [
            *norms(hidden, "input_layernorm", "post_attention_layernorm"),
            *attention(config),
            *gated_mlp(config),
        ]:
            yield f"{stem}.layers.{layer}.{part}", shape
    yield from norms(hidden, f"{stem}.norm")
    yield f"{head}.weight", (vocab, hidden)


def siglip_shapes(config: dict[str, Any], stem: str) -> Shapes:
    size, mlp, patch = config["hidden_size"], config["intermediate_size"], config["patch_size"]
    yield f"{stem}.embeddings.patch_embedding.weight", (size, 3, patch, patch)
    yield f"{stem}.embeddings.patch_embedding.bias", (size,)
    yield f"{stem}.embeddings.position_embedding.weight", ((config["image_size"] // patch) ** 2, size)
    for layer in range(config["num_hidden_layers"]):
        inside = f"{stem}.encoder.layers.{layer}"
        yield from norms(size, f"{inside}.layer_norm1", f"{inside}.layer_norm2", has_bias=True)
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{inside}.self_attn.{name}", size, size, True)
        yield from linear(f"{inside}.mlp.fc1", mlp, size, True)
        yield from linear(f"{inside}.mlp.fc2", size, mlp, True)
    yield from norms(size, f"{stem}.post_layernorm", has_bias=True)


# --- Idefics 3 ---------------------------------------------------------------------------------------------------------
SIGLIP = {
    "hidden_size": 48,
    "intermediate_size": 90,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}


def idefics3_shapes(config: dict[str, Any]) -> Shapes:
    text, vision, scale = config["text_config"], config["vision_config"], config["scale_factor"]
    yield from text_shapes(text, "model.text_model")
    yield from siglip_shapes(vision, "model.vision_model")
    width = vision["hidden_size"] * scale**2
    yield from linear("model.connector.modality_projection.proj", text["hidden_size"], width)


def idefics3(model_type: str, class_name: str, scale: int, **vision: Any) -> dict[str, Any]:
    return {
        "architectures": [f"{class_name}ForConditionalGeneration"],
        "model_type": model_type,
        "image_token_id": IMAGE,
        "scale_factor": scale,
        "tie_word_embeddings": False,
        "eos_token_id": SHARED["eos_token_id"],
        "text_config": LLAMA,
        "vision_config": {"model_type": f"{model_type}_vision", **SIGLIP, **vision},
    }


CASES: dict[str, TinyVision] = {
    "idefics3": TinyVision(idefics3("idefics3", "Idefics3", 2), idefics3_shapes, 4, 56, about="four patches become a row"),
    "smolvlm": TinyVision(
        idefics3("smolvlm", "SmolVLM", 3, image_size=96, patch_size=8, hidden_act="gelu"),
        idefics3_shapes,
        16,
        96,
        about="nine patches become a row; 144 of them, so that a block of attention's keys is not all",
    ),
}


def prompt_of(name: str, attempt: int) -> list[int]:
    """Text, a picture, text, another picture, text."""
    rows = CASES[name].rows
    first, last = TEXT_IDS
    text = [
        first + int(word) % (last - first) for word in draw_words(f"vision prompt {attempt} of {name}", 40) >> np.uint64(33)
    ]
    return [*text[:9], *[IMAGE] * rows, *text[9:16], *[IMAGE] * rows, *text[16:23]]


def picture_of(name: str, number: int) -> np.ndarray:
    """u8 [height, width, 3]: noise over a ramp, so that places tell."""
    size = CASES[name].size
    noise = draw_words(f"picture {number} of {name}", size * size * 3).reshape(size, size, 3) >> np.uint64(56)
    ramp = np.linspace(0, 255, size)[:, None, None] * [1, 0, 0.5] + np.linspace(0, 255, size)[None, :, None] * [0, 1, 0.5]
    return np.clip(0.4 * noise.astype(np.float64) + 0.6 * ramp, 0, 255).astype(np.uint8)


def tensors_of(name: str) -> dict[str, np.ndarray]:
    case = CASES[name]
    return {part: _draw(f"{name}/{part}", part, shape) for part, shape in case.shapes(case.config)}


def _draw(key: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
    if (len(shape) == 1 and part.endswith("norm1.weight")) or part.endswith("norm2.weight"):
        return np.float32(1.0) + draw_uniform(key, shape, 0.25)
    if "position_embedding" in part or "class_embedding" in part:
        return draw_uniform(key, shape, 0.5)
    if len(shape) == 4:
        return draw_uniform(key, shape, 1.0 / np.prod(shape[1:]) ** 0.5)
    return draw_weight(key, part, shape)


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a Hugging Face folder at `folder`, which is made if missing, and returns it."""
    case, tensors = CASES[name], tensors_of(name)
    vocab = case.config["text_config"]["vocab_size"]
    return write_folder(folder, case.config, vocab, tensors, dict.fromkeys(tensors, "F32"))
