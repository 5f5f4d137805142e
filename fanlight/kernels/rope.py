"""Rotation by itself, f32 to f32: where rope_kv.py cannot do it on the way to the cache.  RoPE: https://arxiv.org/abs/2104.09864

Rotary pairs are neighbours, as in rope_kv.py. They may turn by positions on several axes, each pair by that of its own: of a
patch in its picture, or of a token among pictures (M-RoPE: https://arxiv.org/abs/2409.12191)."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import NO_PATCH, read_rows
from fanlight.kernels.rotary import OF_PATCHES, OF_TEXT, POSITIONS, TURNS, turned, turns_of
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class RopeRows:
    """The first `pairs` pairs of every head turn, and are multiplied by `scale`; the rest of a head passes through. All
    of a row is multiplied by 1 + growth * ln(1 + position // period). Strides and offsets count f32 elements.

    by: what positions are; '': the row's, on the only axis; OF_TEXT: the three that the record has of it (inputs.py), or its
    own on each; OF_PATCHES: its patch's, from above (axis 0) and from the left (1)."""

    heads: int
    head_dim: int  # even
    pairs: int
    scale: float
    x_stride: int
    x_offset: int
    y_stride: int
    rows_at: int
    growth: float = 0.0
    period: int = 1
    by: str = ""

    def __post_init__(self) -> None:
        if self.head_dim % 2 or not 0 < 2 * self.pairs <= self.head_dim:
            raise ValueError(f"{self.pairs} pairs of a head of {self.head_dim} elements cannot turn")


@lru_cache(maxsize=64)
def make(p: RopeRows) -> Kernel:
    """x [rows, heads * D], inv_freq [pairs], after it where there are several the axis of each -> y [rows, heads * D]"""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "inv_freq": "array<f32>", "y": "+array<f32>"}
    constants = {
        "HEADS": p.heads,
        "D": p.head_dim,
        "ROTARY": 2 * p.pairs,
        "SCALE": float(p.scale),
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "GROWTH": float(p.growth),
        "PERIOD": p.period,
        "WORKGROUP": WORKGROUP,
    }
    constants |= TURNS if p.by == OF_TEXT else {}
    constants |= {"NO_PATCH": NO_PATCH} if p.by == OF_PATCHES else {}
    files = ("lib/row.wgsl", "lib/sincos.wgsl", POSITIONS[p.by], "rope.wgsl")
    return kernel("rope", bindings, constants, files, problem=p)


def grid(p: RopeRows, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.heads * p.head_dim // 2, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = kernel.problem
    x, y = arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    inputs, table = arrays["inputs"].view(np.uint32), arrays["inv_freq"].view(np.float32)
    inv_freq, axes = table[: p.pairs], table[p.pairs : 2 * p.pairs].astype(int)
    for row, (token, position, _, _) in enumerate(read_rows(inputs, p.rows_at)):
        turns = turns_of(inputs, p.by, row, position, axes)
        if p.by == OF_PATCHES:
            turns = np.array([0, 0] if token == NO_PATCH else [token >> 16, token & 0xFFFF])[axes]
        for at in range(0, p.heads * p.head_dim, p.head_dim):
            head = x[row * p.x_stride + p.x_offset + at :][: p.head_dim]
            grown = 1 + p.growth * np.log1p(position // p.period)
            y[row * p.y_stride + at :][: p.head_dim] = turned(head, turns, inv_freq, p.scale) * grown
