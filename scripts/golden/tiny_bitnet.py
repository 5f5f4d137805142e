"""BitNet for tiny_architectures: its cases, the shapes of its layers, and how its matrices of -1, 0 and 1 are packed."""

from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_words, heads
from scripts.golden.tiny_parts import Shapes, TinyArchitecture, attention, family, gated_mlp, norms

BITNET = family("BitNet", "bitnet", rms_norm_eps=1e-5, rope_theta=700.0, attention_bias=False)
SIZES = {"intermediate_size": 160, "num_hidden_layers": 2}
PACKED = {"quant_method": "bitnet", "quantization_mode": "offline"}

CASES: dict[str, TinyArchitecture] = {
    "bitnet-plain": TinyArchitecture(
        {**BITNET, **SIZES, **heads(4, 2), "hidden_act": "relu2", "tie_word_embeddings": True},
        dtype="BF16",
        about="norms before the last matrices of both branches; a gate of squared ReLU; matrices of any numbers",
    ),
    "bitnet-silu": TinyArchitecture(
        {**BITNET, **SIZES, **heads(3, 3), "hidden_act": "silu", "tie_word_embeddings": True},
        about="as GGUF files have it: SiLU",
    ),
    "bitnet-packed": TinyArchitecture(
        {**BITNET, **SIZES, **heads(4, 2), "hidden_act": "relu2", "tie_word_embeddings": True}
        | {"quantization_config": {**PACKED, "linear_class": "autobitlinear"}},
        dtype="BF16",
        about="as the 2B-4T: four rows to a byte, a number to multiply with, rows rounded to int8",
    ),
    "bitnet-divided": TinyArchitecture(
        {**BITNET, **SIZES, **heads(3, 1), "tie_word_embeddings": False, "quantization_config": {"quant_method": "bitnet"}},
        about="a number to divide by, which nothing says but the lack of a linear_class",
    ),
}


def layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm", "self_attn.attn_sub_norm")
    yield from norms(config["intermediate_size"], "mlp.ffn_sub_norm")
    yield from attention(config)
    yield from gated_mlp(config)


def is_packed(config: dict[str, Any], part: str = "_proj.weight") -> bool:
    is_there = config["model_type"] == "bitnet" and "quantization_config" in config
    return is_there and part.endswith("_proj.weight")


def draw_ternary(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """-1, 0 and 1, alike often."""
    words = draw_words(key, shape[0] * shape[1]).reshape(shape)
    return ((words >> np.uint64(33)) % np.uint64(3)).astype(np.float32) - 1


def packed(values: np.ndarray) -> np.ndarray:
    """u8 [rows / 4, cols]: a byte has a row of each quarter, the first lowest."""
    quarters = (values + 1).astype(np.uint8).reshape(4, -1, values.shape[1])
    return quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6


def stored(
    config: dict[str, Any], tensors: dict[str, np.ndarray], dtypes: dict[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """With the matrices packed, and a number beside each: a power of two, so that BF16 has it."""
    divides = config["quantization_config"].get("linear_class") != "autobitlinear"
    tensors, dtypes = dict(tensors), dict(dtypes)
    for part in [part for part in tensors if is_packed(config, part)]:
        gain = 2.0 if part.split(".")[-2] in ("q_proj", "k_proj") else 1.0
        scale = gain * 2.0 ** round(np.log2(1.2 / tensors[part].shape[1] ** 0.5))
        number = f"{part}_scale"
        tensors[number], dtypes[number] = np.array([1 / scale if divides else scale], np.float32), "BF16"
        tensors[part], dtypes[part] = packed(tensors[part]), "U8"
    return tensors, dtypes
