"""Matrix times matrix: linear.py for more than 8 rows of activations, in tiles of 64 x 64.  What prefill spends its time in
where weights are floats, or activations may not be quantised (gemm_int8.py).

A thread keeps 8 x 8 results in registers; both operands' tiles of 32 elements of K are staged in workgroup memory (16 KiB),
weights dequantised on the way in. Norms and pairs of halves are separate kernels here: a tile does not see whole rows."""

from functools import lru_cache

from fanlight.kernels import linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

TILE = 64
THREADS = (8, 8)  # along columns and rows of the tile


@lru_cache(maxsize=64)
def make(p: Linear, threads: tuple[int, int] = THREADS) -> Kernel:
    assert not p.is_paired and not p.gives_int8 and p.rope is None, p
    files = (*linear.weight_files(p.format), linear.x_file(p), *linear.tile_files(p), "gemm.wgsl")
    constants = linear.constants(p) | {"TX": threads[0], "TY": threads[1]}
    return kernel("gemm", linear.tile_bindings(p), constants, files, (), p.format, p, linear.generated_after(p))


def grid(p: Linear, threads: tuple[int, int] = THREADS) -> tuple[int, int, int]:
    return (ceil_div(p.n, TILE), linear.num_tiles(p, TILE), 1)


reference = linear.reference
