"""A row, or each head of it, times the size of another one: the root of its mean square, or its standard deviation; and first
perhaps brought to size 1.  y = epilogue(x / max(size(x), least) size(like))"""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 64
KINDS = ("rms", "deviation")


@dataclass(frozen=True, slots=True)
class Rescale:
    """kind: of like's size. size: of one of `heads` in a row of x. least: as what a smaller size of x counts; 0: x is taken as
    it is. Strides and offsets count f32 elements."""

    kind: str
    size: int
    heads: int
    like_size: int
    least: float
    x: tuple[int, int]  # stride, offset
    like: tuple[int, int]
    y_stride: int
    epilogue: Fused | None = None

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    @property
    def columns(self) -> int:
        return self.size * self.heads

    @property
    def after(self) -> Site:
        return site("epilogue", self.epilogue, self.columns)


@lru_cache(maxsize=64)
def make(p: Rescale) -> Kernel:
    bindings = {"x": "array<f32>", "like": "array<f32>", **fused.bindings(p.after)}
    bindings |= {"inputs": "array<u32>", "y": "+array<f32>"}
    constants: dict[str, int | float] = {"SIZE": p.size, "LIKE_SIZE": p.like_size, "LEAST": float(p.least)}
    constants |= {"X_STRIDE": p.x[0], "X_OFFSET": p.x[1], "LIKE_STRIDE": p.like[0], "LIKE_OFFSET": p.like[1]}
    constants |= {"Y_STRIDE": p.y_stride, "WORKGROUP": WORKGROUP}
    generated = f"const CENTERED = {str(p.kind == 'deviation').lower()};\n" + fused.wgsl(p.after)
    return kernel("rescale", bindings, constants, ("lib/total.wgsl", "rescale.wgsl"), problem=p, generated=generated)


def grid(p: Rescale, rows: int) -> tuple[int, int, int]:
    return (rows, p.heads, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Rescale = kernel.problem
    rows, out = np.arange(min(int(arrays["inputs"].view(np.uint32)[0]), grid[0])), arrays["y"].view(np.float32)
    x, like = (
        arrays[name].view(np.float32)[rows[:, None] * stride + offset + np.arange(count)].astype(np.float64)
        for name, (stride, offset), count in (("x", p.x, p.columns), ("like", p.like, p.like_size))
    )
    y = rescaled(x, like, p.kind, p.heads, p.least)
    for row, values in zip(rows, fused.apply(p.after, arrays, [y], rows, np.arange(p.columns)), strict=True):
        out[row * p.y_stride : row * p.y_stride + p.columns] = values


def rescaled(x: Array, like: Array, kind: str, heads: int, least: float) -> Array:
    """x [T, H*C], like [T, D] -> [T, H*C]. (NumPy)"""
    import numpy as np

    y = x.reshape(len(x), heads, -1)
    size = np.std(like, axis=1) if kind == "deviation" else np.sqrt(np.mean(like * like, axis=1))
    if least:
        y = y / np.maximum(np.sqrt(np.mean(y * y, axis=2, keepdims=True)), least)
    return (y * size[:, None, None]).reshape(x.shape)
