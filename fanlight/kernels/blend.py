"""Several values of a row made of others by numbers of its own: y_j = epilogue(sum_k s[j, k] x_k).  For AltUp's streams, of
which each is predicted of all.  https://arxiv.org/abs/2301.13310"""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Blend:
    """A row of x has `of` values of `columns` elements, one of y `count`, one of s [count, of]. also: stride and offset of a
    value that is added to all of y's but the first. Strides and offsets count f32 elements."""

    columns: int
    count: int
    of: int
    x: tuple[int, int]  # stride, offset
    shares: tuple[int, int]
    y_stride: int
    also: tuple[int, int] | None = None
    epilogue: Fused | None = None

    @property
    def after(self) -> Site:
        return site("epilogue", self.epilogue, self.count * self.columns)


@lru_cache(maxsize=64)
def make(p: Blend) -> Kernel:
    bindings = {"x": "array<f32>", "shares": "array<f32>"} | ({"also": "array<f32>"} if p.also else {})
    bindings |= {**fused.bindings(p.after), "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"COLUMNS": p.columns, "COUNT": p.count, "OF": p.of, "Y_STRIDE": p.y_stride, "WORKGROUP": WORKGROUP}
    for name, (stride, offset) in {"X": p.x, "SHARES": p.shares, "ALSO": p.also or (0, 0)}.items():
        constants |= {f"{name}_STRIDE": stride, f"{name}_OFFSET": offset}
    other = "also[row * ALSO_STRIDE + ALSO_OFFSET + column]" if p.also else "0.0"
    generated = f"fn other_of(row: u32, column: u32) -> f32 {{ return {other}; }}\n" + fused.wgsl(p.after)
    return kernel("blend", bindings, constants, ("blend.wgsl",), problem=p, generated=generated)


def grid(p: Blend, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Blend = kernel.problem
    rows, out = np.arange(min(int(arrays["inputs"].view(np.uint32)[0]), grid[1])), arrays["y"].view(np.float32)

    def read(name: str, place: tuple[int, int], count: int) -> Array:
        stride, offset = place
        return arrays[name].view(np.float32)[rows[:, None] * stride + offset + np.arange(count)].astype(np.float64)

    x, shares = read("x", p.x, p.of * p.columns), read("shares", p.shares, p.count * p.of)
    y = blended(x, shares, p.count, read("also", p.also, p.columns) if p.also else None)
    for row, values in zip(rows, fused.apply(p.after, arrays, [y], rows, np.arange(p.count * p.columns)), strict=True):
        out[row * p.y_stride : row * p.y_stride + p.count * p.columns] = values


def blended(x: Array, shares: Array, count: int, also: Array | None) -> Array:
    """x [T, K*C], shares [T, J*K], also [T, C] -> [T, J*C]. (NumPy)"""
    import numpy as np

    shares = shares.reshape(len(x), count, -1)
    y = np.einsum("tjk,tkc->tjc", shares, x.reshape(len(x), shares.shape[2], -1))
    if also is not None:
        y[:, 1:] += also[:, None]
    return y.reshape(len(x), -1)
