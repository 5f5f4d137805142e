"""add_parts.py and the rope_kv.py after it in one: parts of the product of q, k and v become q, rotated, and the KV cache."""

from dataclasses import replace
from functools import lru_cache

from fanlight.kernels import add_parts, linear, rope_kv
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, kernel


@lru_cache(maxsize=64)
def make(p: Linear, share: int, eps: float | None = None) -> Kernel:
    """x [parts, rows, n] -> q and the cache, as rope_kv.py has them of p.rope and eps."""
    bindings = add_parts.inputs(p) | rope_kv.bindings_after(p.rope, eps)
    constants = add_parts.constants(p, share) | rope_kv.constants(p.rope, eps)
    files = (*linear.fused_files(p), "lib/parts.wgsl", "add_parts_rope.wgsl", *rope_kv.files(p.rope, eps))
    return kernel("add_parts_rope", bindings, constants, files, problem=p)


def grid(p: Linear) -> tuple[int, int, int]:
    return rope_kv.grid(p.rope, p.rows)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = kernel.problem
    qkv = np.zeros(p.rows * p.y_stride, np.float32)
    add_parts.reference(replace(kernel, problem=replace(p, rope=None)), arrays | {"y": qkv.view(np.uint8)}, grid)
    rows = int(arrays["inputs"].view(np.uint32)[0])
    rope_kv.norm_and_turn(p.rope, arrays, qkv.reshape(p.rows, -1)[:rows, : p.n], kernel.constant("EPS"))
