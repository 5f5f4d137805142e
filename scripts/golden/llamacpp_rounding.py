"""How llama.cpp multiplies on a CPU, in NumPy: it first rounds the input, in a way that depends on the matrix's weight format.

With this product forward.py meets llama.cpp's recorded logits to six digits, where the exact product stays some percent away:
so the distance between llama.cpp and an exact engine is llama.cpp's rounding, not a misread block.
https://github.com/ggml-org/llama.cpp (ggml-cpu, quantize_row_q8_0, q8_1 and q8_K)"""

from collections.abc import Callable

import numpy as np

from scripts.golden import tiny_gguf, tiny_models
from scripts.golden.forward import Product

Rounding = Callable[[np.ndarray], np.ndarray]


def round_nothing(x: np.ndarray) -> np.ndarray:
    return x


def round_to_f16(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32).astype(np.float16).astype(np.float64)


def round_to_bf16(x: np.ndarray) -> np.ndarray:
    return tiny_models.widen_bf16(tiny_models.round_to_bf16(x.astype(np.float32))).astype(np.float64)


def round_to_q8_0(x: np.ndarray) -> np.ndarray:
    """Blocks of 32 in 8 bit; the scale is stored in half precision, but the codes are made with the exact one."""
    codes, scale = codes_of_q8_0(x)
    return (codes * round_to_f16(scale)).reshape(x.shape)


def codes_of_q8_0(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = x.reshape(len(x), -1, 32)
    scale = np.abs(blocks).max(axis=-1, keepdims=True) / 127
    return np.rint(blocks / np.where(scale > 0, scale, 1)), scale


def sums_beyond_q8_0(x: np.ndarray) -> np.ndarray:
    """Q8_1 is Q8_0 and each block's sum, which meets the weights' offset; it is not quite the sum of the rounded values."""
    codes, scale = codes_of_q8_0(x)
    total = codes.sum(axis=-1, keepdims=True)
    return (round_to_f16(total * scale) - total * round_to_f16(scale))[..., 0]  # [T, blocks]


def round_to_q8_k(x: np.ndarray) -> np.ndarray:
    """Blocks of 256 in 8 bit; the largest value becomes -127, so the scale has its opposite sign."""
    blocks = x.reshape(-1, 256)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1)[:, None], axis=-1)
    scale = largest / -127
    codes = np.minimum(np.rint(blocks / np.where(scale != 0, scale, 1)), 127)
    return (codes * scale).reshape(x.shape)


ROUNDINGS: dict[str, Rounding] = {
    "F32": round_nothing,
    "F16": round_to_f16,
    "BF16": round_to_bf16,
    **dict.fromkeys(("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"), round_to_q8_0),
    **dict.fromkeys(("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"), round_to_q8_k),
}


def product_of(name: str) -> Product:
    """The product that llama.cpp takes in the case of tiny_gguf."""
    tensors = {tiny_gguf.huggingface_name(tensor): stored for tensor, stored in tiny_gguf.make_tensors(name).items()}

    def product(matrix: str, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight_format, stored = tensors[f"{matrix}.weight"]
        y = ROUNDINGS[weight_format](x) @ weight.T
        if weight_format in ("Q4_1", "Q5_1"):
            y += sums_beyond_q8_0(x) @ tiny_gguf.offsets_of(stored, weight_format).T
        return y

    return product
