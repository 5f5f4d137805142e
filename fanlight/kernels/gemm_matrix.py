"""gemm_int8.py's product on subgroup matrices, where an adapter has them for f16: the same operands and results, sooner
(docs/log.md).

Weights and activations become f16 on their way into workgroup memory; integers times a scale need no more than f16's eleven
bits, so what is lost is the scales' rounding. Sums are f32. Integer matrices would not do: each group of 32 has its own scale,
and a matrix's elements are not to be had. Where tiles are fewer than a large GPU takes at a time, workgroups share out all the
tiles' K evenly (Stream-K, https://arxiv.org/abs/2301.03598); add_parts.py adds up what they leave.
Proposal: https://github.com/gpuweb/gpuweb/blob/main/proposals/subgroup-matrix.md"""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from fanlight.arrays import Array
from fanlight.kernels import gemm_int8, linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.quantize import dequantized
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MATRICES = "chromium-experimental-subgroup-matrix"  # Dawn's name; devices offer it only with f16, 16 x 16 x 16, by 32 threads
FEATURES = ("shader-f16", "subgroups", MATRICES)
TILE = 128  # rows and columns; smaller ones spend more on staging than matrices save (docs/log.md)
TURN = 64  # elements of K: what the shader's loop takes at a time
SLOTS = 256  # workgroups that a large GPU takes at a time: two on each multiprocessor
BUSY = 192  # tiles that need not be shared out
END = 6  # turns that it takes to leave a tile's sums
FEWEST = 48  # tiles; smaller products are sooner done by gemm_int8.py, whose tiles are smaller


def turns_of(p: Linear) -> int:
    """Of a whole tile."""
    return p.k // TURN


def share_of(p: Linear) -> int:
    """Turns that a workgroup takes: a whole tile's, or its share of all; 0 if the product is not for matrices."""
    tiles = ceil_div(p.n, TILE) * ceil_div(p.rows, TILE)
    if p.rows < TILE or p.k % TURN or tiles < (FEWEST if _may_split(p) else BUSY):
        return 0
    turns = turns_of(p)
    if tiles >= BUSY:
        return turns
    of_one_tile = min(turns // parts for parts in (1, 2, 4) if turns % parts == 0 and tiles * parts <= SLOTS)
    of_all = ceil_div(tiles * turns, SLOTS)  # shorter, but some workgroups leave the sums of two tiles
    return of_one_tile if of_one_tile <= of_all + END else of_all


def _may_split(p: Linear) -> bool:
    return not p.is_paired and p.n % 4 == p.y_stride % 4 == p.row_offset % 4 == 0


def whole(p: Linear) -> Linear:
    """The product without what add_parts.py adds; its parts lie one after the other."""
    return replace(p, epilogue=None, row_offset=0, y_stride=p.n)


def ranges_at(p: Linear, share: int, row: int, n: int) -> tuple[tuple[int, int], ...]:
    """From and to which element of K each part of the sum y[row, n] goes."""
    first = (row // TILE * ceil_div(p.n, TILE) + n // TILE) * turns_of(p)
    last = first + turns_of(p)
    cuts = (first, *range((first // share + 1) * share, last, share), last)
    return tuple(((a - first) * TURN, (b - first) * TURN) for a, b in pairwise(cuts))


@lru_cache(maxsize=64)
def num_parts(p: Linear, share: int) -> int:
    """The most that any element has."""
    return max(len(ranges_at(p, share, row, n)) for row in range(0, p.rows, TILE) for n in range(0, p.n, TILE))


@lru_cache(maxsize=64)
def make(p: Linear, share: int | None = None) -> Kernel:
    """Operands as gemm_int8.py's. With a share smaller than a tile y is [num_parts, rows, n], and p is a `whole` one."""
    files = (
        *linear.weight_files(p.format),
        *(("lib/int8.wgsl", "lib/slab_halves.wgsl") if p.is_paired else ("lib/slab_rows.wgsl",)),
        "gemm_matrix.wgsl",
    )
    constants = linear.constants(p) | {"SHARE": share or turns_of(p), "ROWS": p.rows}
    generated = linear.generated_after(p)
    return kernel("gemm_matrix", gemm_int8.bindings(p), constants, files, FEATURES, p.format, p, generated)


def grid(p: Linear, share: int | None = None) -> tuple[int, int, int]:
    tiles = ceil_div(p.n, TILE) * ceil_div(p.rows, TILE)
    return (ceil_div(tiles * turns_of(p), share or turns_of(p)), 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, share = kernel.problem, kernel.constant("SHARE")
    if share == turns_of(p):
        return gemm_int8.reference(kernel, arrays, grid)
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = dequantized(arrays["xq"], arrays["xd"], rows, p.k).astype(np.float64)
    w = linear.dequantized(p.format, p.n, p.k, arrays["w"]).astype(np.float64)
    y = arrays["y"].view(np.float32)[: num_parts(p, share) * p.rows * p.n].reshape(-1, p.rows, p.n)
    for row in range(0, rows, TILE):
        for n in range(0, p.n, TILE):
            r, c = slice(row, min(row + TILE, rows)), slice(n, n + TILE)
            for i, (start, end) in enumerate(ranges_at(p, share, row, n)):
                y[i, r, c] = x[r, start:end] @ w[c, start:end].T
