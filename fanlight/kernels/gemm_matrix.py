"""gemm_int8.py's product on subgroup matrices, where an adapter has them for f16: the same operands and results, sooner
(docs/log.md).

Weights and activations become f16 on their way into workgroup memory; integers times a scale need no more than f16's eleven
bits, so what is lost is the scales' rounding. Sums are f32. Integer matrices would not do: each group of 32 has its own scale,
and a matrix's elements are not to be had. Where tiles are too few for a large GPU, workgroups share out K as well; add_parts.py
adds up what they find.  Proposal: https://github.com/gpuweb/gpuweb/blob/main/proposals/subgroup-matrix.md"""

from dataclasses import replace
from functools import lru_cache

from fanlight.kernels import gemm_int8, linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.quantize import dequantized
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MATRICES = "chromium-experimental-subgroup-matrix"  # Dawn's name; devices offer it only with f16, 16 x 16 x 16, by 32 threads
FEATURES = ("shader-f16", "subgroups", MATRICES)
TILE = 128  # rows and columns; smaller ones spend more on staging than matrices save (docs/log.md)
TURN = 64  # elements of K: what the shader's loop takes at a time
BUSY = 192  # workgroups that keep a large GPU busy
MOST_PARTS = 4


def parts_of(p: Linear) -> int:
    """Into how many parts to split K for workgroups enough; 0 if even the most are too few: smaller products are sooner done by
    gemm_int8.py, whose tiles are smaller."""
    tiles = ceil_div(p.n, TILE) * ceil_div(p.rows, TILE)
    choices = (1, 2, MOST_PARTS) if _may_split(p) else (1,)
    busy = (parts for parts in choices if tiles * parts >= BUSY and p.k % (TURN * parts) == 0)
    return next(busy, 0) if p.rows >= TILE else 0


def _may_split(p: Linear) -> bool:
    return not p.is_glu and p.n % 4 == p.y_stride % 4 == p.row_offset % 4 == 0


def whole(p: Linear) -> Linear:
    """The product without what add_parts.py adds; `parts` of it lie one after the other."""
    return replace(p, has_bias=False, has_residual=False, row_offset=0, y_stride=p.n)


@lru_cache(maxsize=64)
def make(p: Linear, parts: int = 1) -> Kernel:
    """Operands as gemm_int8.py's. With several parts y is [parts, rows, n], and p is a `whole` one."""
    files = (
        *linear.weight_files(p.format),
        *linear.fused_files(p),
        *(("lib/int8.wgsl", "lib/slab_glu.wgsl") if p.is_glu else ("lib/slab_rows.wgsl",)),
        "gemm_matrix.wgsl",
    )
    constants = linear.constants(p) | {"PARTS": parts, "ROWS": p.rows}
    return kernel("gemm_matrix", gemm_int8.bindings(p), constants, files, FEATURES, format=p.format, problem=p)


def grid(p: Linear, parts: int = 1) -> tuple[int, int, int]:
    return (ceil_div(p.n, TILE), ceil_div(p.rows, TILE), parts)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, parts = kernel.problem, kernel.constant("PARTS")
    if parts == 1:
        return gemm_int8.reference(kernel, arrays, grid)
    rows, k = int(arrays["inputs"].view(np.uint32)[0]), p.k // parts
    x = dequantized(arrays["xq"], arrays["xd"], rows, p.k).astype(np.float64)
    w = linear.dequantized(p.format, p.n, p.k, arrays["w"]).astype(np.float64)
    y = arrays["y"].view(np.float32)[: parts * p.rows * p.n].reshape(parts, p.rows, p.n)
    for i in range(parts):
        y[i, :rows] = x[:, i * k : (i + 1) * k] @ w[:, i * k : (i + 1) * k].T
