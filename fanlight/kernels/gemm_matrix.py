"""gemm_int8.py's product on subgroup matrices, where an adapter has them for f16: the same operands and results, sooner
(docs/log.md).

Weights and activations become f16 on their way into workgroup memory; integers times a scale need no more than f16's eleven
bits, so what is lost is the scales' rounding. Sums are f32. Integer matrices would not do: each group of 32 has its own scale,
and a matrix's elements are not to be had.  Proposal: https://github.com/gpuweb/gpuweb/blob/main/proposals/subgroup-matrix.md"""

from functools import lru_cache

from fanlight.kernels import gemm_int8, linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MATRICES = "chromium-experimental-subgroup-matrix"  # Dawn's name; devices offer it only with f16, 16 x 16 x 16, by 32 threads
FEATURES = ("shader-f16", "subgroups", MATRICES)
TILE = 128  # rows and columns; smaller ones spend more on staging than matrices save (docs/log.md)
BUSY = 128  # workgroups that keep a large GPU busy


def is_worth(p: Linear) -> bool:
    """Whether there are tiles enough: narrow products are sooner done by gemm_int8.py, whose tiles are smaller."""
    return ceil_div(p.n, TILE) * ceil_div(p.rows, TILE) >= BUSY


@lru_cache(maxsize=64)
def make(p: Linear) -> Kernel:
    """Operands as gemm_int8.py's."""
    files = (
        *linear.weight_files(p.format),
        *linear.fused_files(p),
        *(("lib/int8.wgsl", "lib/slab_glu.wgsl") if p.is_glu else ("lib/slab_rows.wgsl",)),
        "gemm_matrix.wgsl",
    )
    return kernel("gemm_matrix", gemm_int8.bindings(p), linear.constants(p), files, FEATURES, format=p.format, problem=p)


def grid(p: Linear) -> tuple[int, int, int]:
    return (ceil_div(p.n, TILE), ceil_div(p.rows, TILE), 1)


reference = gemm_int8.reference
