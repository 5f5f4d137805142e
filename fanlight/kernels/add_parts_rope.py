"""add_parts.py and the rope_kv.py after it in one: parts of the product of q, k and v become q, rotated, and the KV cache."""

from dataclasses import replace
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import add_parts, rope_kv
from fanlight.kernels.linear import Linear
from fanlight.kernels.rotary import HeadNorm
from fanlight.kernels.spec import Kernel, kernel


@lru_cache(maxsize=64)
def make(p: Linear, share: int, norm: HeadNorm | None = None) -> Kernel:
    """x [parts, rows, n] -> q and the cache, as rope_kv.py has them of p.rope and norm."""
    assert p.rope, p
    bindings = add_parts.inputs(p) | rope_kv.bindings_after(p.rope, norm)
    constants = add_parts.constants(p, share) | rope_kv.constants(p.rope, norm)
    generated = add_parts.generated(p) + rope_kv.generated(norm)
    files = ("lib/parts.wgsl", "add_parts_rope.wgsl", *rope_kv.files(p.rope, norm))
    return kernel("add_parts_rope", bindings, constants, files, problem=(p, norm), generated=generated)


def grid(p: Linear) -> tuple[int, int, int]:
    assert p.rope, p
    return rope_kv.grid(p.rope, p.rows)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, norm = kernel.problem
    qkv = np.zeros(p.rows * p.y_stride, np.float32)
    add_parts.reference(replace(kernel, problem=replace(p, rope=None)), arrays | {"y": qkv.view(np.uint8)}, grid)
    rows = int(arrays["inputs"].view(np.uint32)[0])
    rope_kv.norm_and_turn(p.rope, arrays, qkv.reshape(p.rows, -1)[:rows, : p.n], norm)
