"""attention_prefill.py on subgroup matrices, for adapters that have them (gemm_matrix.py) and heads of 64 or 128 elements.

Elements of a matrix are not to be had: scores and weights go through workgroup memory, and results cannot be multiplied by
what a new maximum asks for. They seldom must be: weights are relative to a maximum that is only replaced when a score exceeds
it by e^8, which f16 has room for.  FlashAttention: https://arxiv.org/abs/2205.14135"""

from functools import lru_cache

from fanlight.kernels import attention
from fanlight.kernels.attention import Attention
from fanlight.kernels.gemm_matrix import FEATURES
from fanlight.kernels.spec import Kernel, ceil_div, kernel

ROWS = 64  # of a workgroup
KEYS = 32  # at a time
HEAD_DIMS = (64, 128)


def takes(p: Attention) -> bool:
    return p.rows >= 2 * ROWS and p.kv.dtype == "f16" and p.kv.head_dim in HEAD_DIMS


@lru_cache(maxsize=64)
def make(p: Attention, keys: int = KEYS) -> Kernel:
    """q [rows, heads, D] (scaled) -> y [rows, heads, D]"""
    bindings = {
        "q": "array<vec4<f32>>",
        "kv": "array<vec4<u32>>",
        "inputs": "array<u32>",
        "block_table": "array<u32>",
        "y": "+array<vec4<f32>>",
    }
    constants = p.kv.constants() | {"HEADS": p.heads, "KEYS": keys, "WINDOW": p.window or 0, "ROWS_AT": p.rows_at, "SPLITS": 1}
    return kernel("attention_matrix", bindings, constants | {"R": ROWS}, ("lib/kv.wgsl", "attention_matrix.wgsl"), FEATURES)


def grid(p: Attention) -> tuple[int, int, int]:
    return (p.heads, ceil_div(p.rows, ROWS), 1)


reference = attention.reference
