"""attention_prefill.py on subgroup matrices, for adapters that have them (gemm_matrix.py) and heads of 64 or 128 elements.

Elements of a matrix are not to be had: scores and weights go through workgroup memory, and results cannot be multiplied by
what a new maximum asks for. They seldom must be: weights are relative to a maximum that is only replaced when a score exceeds
it by e^8, which f16 has room for. What leaves is quantised, for the product after it.  FlashAttention: https://arxiv.org/abs/2205.14135"""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import attention
from fanlight.kernels.attention import Attention, score_function
from fanlight.kernels.gemm_matrix import FEATURES
from fanlight.kernels.quantize import write_quantized
from fanlight.kernels.spec import Kernel, ceil_div, kernel

ROWS = 64  # of a workgroup
KEYS = 32  # at a time
HEAD_DIMS = (64, 128)


def takes(p: Attention) -> bool:
    return p.is_plain and not p.has_slopes and p.rows >= 2 * ROWS and p.kv.dtype == "f16" and p.kv.head_dim in HEAD_DIMS


@lru_cache(maxsize=64)
def make(p: Attention) -> Kernel:
    """q [rows, heads, D] (scaled) -> xq and xd (quantize.py) of [rows, heads, D]"""
    p.must_be_plain("attention_matrix")
    if p.has_slopes:
        raise ValueError(f"attention_matrix: expected no slopes, got {p}")
    bindings = {"q": "array<vec4<f32>>", "kv": "array<vec4<u32>>", "inputs": "array<u32>", "block_table": "array<u32>"}
    bindings |= {"xq": "+array<vec4<u32>>", "xd": "+array<f32>"}
    constants = p.kv.constants() | {"HEADS": p.heads, "KEYS": KEYS, "WINDOW": p.window or 0, "ROWS_AT": p.rows_at, "SPLITS": 1}
    constants |= {"R": ROWS, "K": p.heads * p.kv.head_dim}
    files = ("lib/row.wgsl", "lib/kv.wgsl", "lib/segment.wgsl", "lib/int8.wgsl", "lib/int8_group.wgsl", "attention_matrix.wgsl")
    generated = score_function(p.score, "vec4<f32>")
    return kernel("attention_matrix", bindings, constants, files, FEATURES, problem=p, generated=generated)


def grid(p: Attention) -> tuple[int, int, int]:
    return (p.heads, ceil_div(p.rows, ROWS), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    rows, k = int(arrays["inputs"].view(np.uint32)[0]), kernel.constant("K")
    y = np.zeros(rows * k, np.float32)
    attention.reference(kernel, arrays | {"y": y.view(np.uint8)}, grid)
    write_quantized(y.reshape(rows, k), arrays["xq"], arrays["xd"])
