"""y = epilogue(the sum of a product's parts), where gemm_matrix.py shares out K among workgroups."""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused, gemm_matrix, linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def inputs(p: Linear) -> dict[str, str]:
    return {"x": "array<vec4<f32>>", "inputs": "array<u32>"} | fused.bindings(linear.after(p, "columns"))


def generated(p: Linear) -> str:
    return linear.generated_after(p, "columns")


def constants(p: Linear, share: int) -> dict[str, int]:
    sizes = {"N": p.n, "ROWS": p.rows, "Y_STRIDE": p.y_stride, "ROW_OFFSET": p.row_offset}
    return sizes | {"TILE": gemm_matrix.TILE, "TURNS": gemm_matrix.turns_of(p), "SHARE": share}


@lru_cache(maxsize=64)
def make(p: Linear, share: int) -> Kernel:
    """x [parts, rows, n] -> y, whose rows are y_stride apart; n, y_stride and row_offset are whole vec4."""
    bindings, sizes = inputs(p) | {"y": "+array<vec4<f32>>"}, constants(p, share) | {"WORKGROUP": WORKGROUP}
    return kernel("add_parts", bindings, sizes, ("lib/parts.wgsl", "add_parts.wgsl"), problem=p, generated=generated(p))


def grid(p: Linear) -> tuple[int, int, int]:
    return (ceil_div(p.n // 4, WORKGROUP), p.rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, share = kernel.problem, kernel.constant("SHARE")
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = (
        arrays["x"]
        .view(np.float32)[: gemm_matrix.num_parts(p, share) * p.rows * p.n]
        .reshape(-1, p.rows, p.n)
        .astype(np.float64)
    )
    tile = gemm_matrix.TILE
    for row in range(0, p.rows, tile):
        for n in range(0, p.n, tile):
            x[len(gemm_matrix.ranges_at(p, share, row, n)) :, row : row + tile, n : n + tile] = 0
    linear.keep(p, arrays, x.sum(axis=0)[:rows])
