"""Norms of rows, or of each head of a row, and what is fused after them:  y = epilogue(x / sqrt(mean(x^2) + eps)), or of
(x - mean) / sqrt(var + eps).  https://arxiv.org/abs/1910.07467  https://arxiv.org/abs/1607.06450
For steps of many rows; where rows are few, gemv.py does RMSNorm while it stages."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Norm:
    """kind: 'rms' or 'layer'. size: of what is normed together; heads: so many side by side in a row. Strides and offsets
    count f32 elements."""

    kind: str
    size: int
    heads: int
    stride: int  # from row to row of x
    eps: float
    epilogue: Fused | None = None  # of the normed value; operands by row and column of y
    x_offset: int = 0
    y_stride: int = 0  # where it is not x's

    def __post_init__(self) -> None:
        assert self.kind in ("rms", "layer"), self.kind
        assert self.epilogue is None or self.epilogue.values == 1, self.epilogue

    @property
    def columns(self) -> int:
        return self.size * self.heads

    def constants(self) -> dict[str, int | float]:
        sizes = {"SIZE": self.size, "HEADS": self.heads, "K": self.columns, "X_STRIDE": self.stride, "X_OFFSET": self.x_offset}
        return sizes | {"Y_STRIDE": self.y_stride or self.stride, "EPS": float(self.eps), "WORKGROUP": WORKGROUP}


def after(p: Norm, lanes: str = "one", name: str = "epilogue") -> Site:
    return site(name, p.epilogue, p.columns, lanes)


def generated(p: Norm, lanes: str = "one") -> str:
    return centered(p) + fused.wgsl(after(p, lanes))


def centered(p: Norm) -> str:
    return f"const CENTERED = {str(p.kind == 'layer').lower()};\n"


def lanes_of(p: Norm) -> int:
    """Threads to a head."""
    return 16 if p.size <= 64 else 32 if p.size <= 128 else WORKGROUP


@lru_cache(maxsize=64)
def make(p: Norm) -> Kernel:
    bindings = {"x": "array<f32>", "inputs": "array<u32>", **fused.bindings(after(p)), "y": "+array<f32>"}
    constants = p.constants() | {"LANES": lanes_of(p)}
    return kernel("norm", bindings, constants, ("norm.wgsl",), problem=p, generated=generated(p))


def grid(p: Norm, rows: int) -> tuple[int, int, int]:
    return (rows, ceil_div(p.heads, WORKGROUP // lanes_of(p)), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Norm = kernel.problem
    y, stride = normed(p, arrays, grid[0]), p.y_stride or p.stride
    out = arrays["y"].view(np.float32)
    for row, values in enumerate(y):
        out[row * stride : row * stride + p.columns] = values


def normed(p: Norm, arrays: dict[str, Array], most_rows: int) -> Array:
    """f64 [rows, columns]. (NumPy)"""
    import numpy as np

    rows = min(int(arrays["inputs"].view(np.uint32)[0]), most_rows)
    starts = np.arange(rows)[:, None] * p.stride + p.x_offset
    return normalise(p, arrays, arrays["x"].view(np.float32)[starts + np.arange(p.columns)])


def normalise(p: Norm, arrays: dict[str, Array], x: Array, name: str = "epilogue") -> Array:
    """Rows x [rows, columns] of anything. (NumPy)"""
    import numpy as np

    x = x.astype(np.float64).reshape(len(x), p.heads, p.size)
    if p.kind == "layer":
        x = x - np.mean(x, axis=2, keepdims=True)
    x = (x / np.sqrt(np.mean(x * x, axis=2, keepdims=True) + p.eps)).reshape(len(x), -1)
    return fused.apply(after(p, name=name), arrays, [x], np.arange(len(x)), np.arange(p.columns))
