"""The sum of a row's parts by their shares (route.py), and what is fused to it.  y[t] = epilogue(sum_j share_j(t) x[t, j])"""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@lru_cache(maxsize=64)
def make(columns: int, top_k: int, y_stride: int, tree: Fused | None, x_stride: int = 0) -> Kernel:
    """x: rows [top_k, columns], x_stride apart; 0: one after the other."""
    bindings = {"x": "array<f32>", "route": "array<f32>"} | fused.bindings(site_of(columns, tree))
    bindings |= {"inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"COLUMNS": columns, "TOP_K": top_k, "Y_STRIDE": y_stride, "WORKGROUP": WORKGROUP}
    constants["X_STRIDE"] = x_stride or top_k * columns
    generated = fused.wgsl(site_of(columns, tree))
    return kernel("mix", bindings, constants, ("mix.wgsl",), problem=tree, generated=generated)


def site_of(columns: int, tree: Fused | None) -> Site:
    return site("epilogue", tree, columns)


def grid(columns: int, rows: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, top_k, stride = (kernel.constant(name) for name in ("COLUMNS", "TOP_K", "Y_STRIDE"))
    rows = min(int(arrays["inputs"].view(np.uint32)[0]), grid[1])
    shares = arrays["route"].view(np.float32)[: rows * 2 * top_k].reshape(rows, 2, top_k)[:, 1].astype(np.float64)
    x_stride = kernel.constant("X_STRIDE")
    x = arrays["x"].view(np.float32)[: rows * x_stride].reshape(rows, x_stride)[:, : top_k * columns].reshape(rows, top_k, -1)
    y = fused.apply(
        site_of(columns, kernel.problem), arrays, [np.einsum("tj,tjc->tc", shares, x)], np.arange(rows), np.arange(columns)
    )
    for row, values in enumerate(y):
        arrays["y"].view(np.float32)[row * stride : row * stride + columns] = values
