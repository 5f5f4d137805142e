"""gemm_int8.py's product in f16, for adapters that have no instruction for integer products, Apple's above all: there a
dot4I8Packed is some twenty operations, which f16 does four of in four. Same operands and results; the clock chooses
(runtime/autotune.py).

Activations stay the integers that they are, which f16 holds exactly, and weights become f16 on their way into workgroup
memory. A thread sums a group of 32 in four f16 lanes of eight products each, which would overflow only with weights above 64,
then the group times its scale in f32."""

from functools import lru_cache

from fanlight.kernels import gemm_int8, linear
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, kernel

FEATURES = ("shader-f16",)
TILES = (Tile(64, 64, 1, 8, 16, is_f16=True), Tile(32, 64, 1, 8, 8, is_f16=True))


@lru_cache(maxsize=64)
def make(p: Linear, tile: Tile = TILES[0]) -> Kernel:
    constants = linear.constants(p) | {"TILE_M": tile.rows, "TILE_N": tile.cols, "KG": tile.groups, "TX": tile.x, "TY": tile.y}
    files = (
        *linear.weight_files(p.format),
        *linear.tile_files(p),
        "lib/tile_halves.wgsl" if p.is_paired else "lib/tile_rows.wgsl",
        "gemm_f16.wgsl",
    )
    bindings = gemm_int8.bindings(p)
    return kernel("gemm_f16", bindings, constants, files, FEATURES, p.format, p, gemm_int8.generated(p))


def grid(p: Linear, tile: Tile = TILES[0]) -> tuple[int, int, int]:
    return gemm_int8.grid(p, tile)


reference = gemm_int8.reference
