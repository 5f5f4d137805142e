"""Joins the partial results of attention.py's splits: each was summed relative to its own maximum."""

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel


def make(heads: int, head_dim: int, splits: int) -> Kernel:
    """x [T, heads, splits, D], state [T, heads, splits] of (maximum, sum) -> y [T, heads, D]"""
    bindings = {"x": "array<vec4<f32>>", "state": "array<vec2<f32>>", "inputs": "array<u32>", "y": "+array<vec4<f32>>"}
    constants = {"HEADS": heads, "D": head_dim, "SPLITS": splits}
    return kernel("attention_reduce", bindings, constants, ("attention_reduce.wgsl",))


def grid(rows: int, heads: int) -> tuple[int, int, int]:
    return (heads, rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    heads, d, splits = (kernel.constant(n) for n in ("HEADS", "D", "SPLITS"))
    count = int(arrays["inputs"].view(np.uint32)[0]) * heads
    x = arrays["x"].view(np.float32)[: count * splits * d].reshape(count, splits, d).astype(np.float64)
    state = arrays["state"].view(np.float32)[: count * splits * 2].reshape(count, splits, 2).astype(np.float64)
    weight = np.exp(state[:, :, 0] - state[:, :, 0].max(axis=1, keepdims=True))
    total = (weight * state[:, :, 1]).sum(axis=1, keepdims=True)
    arrays["y"].view(np.float32)[: count * d] = ((weight[:, :, None] * x).sum(axis=1) / total).reshape(-1)
