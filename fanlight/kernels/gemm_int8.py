"""Matrix times matrix in integers: linear.py for more than 8 rows of activations and quantised weights.  What prefill
spends its time in.

Activations come as i8, 32 to a scale (quantize.py, norm_int8.py); weights are unpacked to i8 on their way into workgroup
memory, once per tile. A thread multiplies four (or eight) rows of X by several of W with dot4I8Packed, sums a group of 32 in
integers and groups in f32. Other workgroups hide a stage's loads: fetching the next one early costs registers, and time.
Products of integers are exact: what int8 costs in accuracy is the activations' rounding (docs/log.md). What W's two halves make
leaves quantised, for the product after it."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import linear
from fanlight.kernels.gemv_int8 import HALVES_DIFFER, KEPT_PACKED
from fanlight.kernels.linear import Linear
from fanlight.kernels.quantize import dequantized, write_quantized
from fanlight.kernels.spec import Kernel, ceil_div, kernel

ZERO_POINTS = {  # offset = -zero point * scale
    **{"Q4_0": 8, "Q4_0_BF16": 8, "Q5_0": 16, "Q8_0": 0, "Q3_K": 4, "Q6_K": 32},
    **{"IQ4_NL": 0, "IQ4_XS": 0, "MXFP4": 0, "NVFP4": 0, "TQ1_0": 1, "TQ2_0": 1, "Q1_0": 1, "Q2_0": 1, "INT2_128": 1},
    **{"IQ3_S": 0, "IQ3_XXS": 0, "IQ2_S": 0, "IQ2_XS": 0, "IQ2_XXS": 0, "IQ1_M": 9, "IQ1_S": 9},
}


@dataclass(frozen=True, slots=True)
class Tile:
    """rows of X by cols of W, `groups` of 32 elements of K at a time, by x * y threads. is_f16: gemm_f16.py's."""

    rows: int
    cols: int
    groups: int
    x: int
    y: int
    is_f16: bool = False

    def num_bytes(self, format: str) -> int:
        """Workgroup memory."""
        scales = 2 if format in HALVES_DIFFER else 1
        words = 2 * (self.cols + 2 + self.rows + 2) * 4 + self.cols * scales + self.rows
        if format not in ZERO_POINTS:
            words += self.cols * scales + 2 * self.rows
        return 4 * self.groups * words


TILES = (Tile(64, 64, 2, 8, 16), Tile(32, 64, 2, 8, 8))
FEW_ROWS = 64  # up to which small tiles are needed to occupy a large GPU
WORKGROUP_BYTES = 16 << 10


def tiles_for(p: Linear, tiles: tuple[Tile, ...] = TILES) -> tuple[Tile, ...]:
    """The best first."""
    rows = p.rows * p.experts.top_k // p.experts.of if p.experts else p.rows
    return tuple(sorted(tiles, key=lambda tile: tile.rows)) if rows <= FEW_ROWS else tiles


def default_tile(p: Linear) -> Tile:
    return next(tile for tile in tiles_for(p) if tile.num_bytes(p.format) <= WORKGROUP_BYTES)


def bindings(p: Linear) -> dict[str, str]:
    assert p.x_offset == 0 and (p.row_offset == 0 or not p.is_paired), "xq and yq are whole rows"
    made = {name: type for name, type in linear.tile_bindings(p).items() if name != "x"}
    made = {"xq": "array<vec4<u32>>", "xd": "array<f32>"} | made
    if p.is_paired:
        made.pop("y")
        made |= {"yq": "+array<u32>", "yd": "+array<f32>"}
    return made


def generated(p: Linear) -> str:
    """A thread finishes four rows of a column at a time where W's halves make them."""
    return linear.generated_after(p, "rows" if p.is_paired else "one")


@lru_cache(maxsize=64)
def make(p: Linear, tile: Tile | None = None) -> Kernel:
    tile = tile or default_tile(p)
    constants = linear.constants(p) | {
        "TILE_M": tile.rows,
        "TILE_N": tile.cols,
        "KG": tile.groups,
        "TX": tile.x,
        "TY": tile.y,
        "ZERO": ZERO_POINTS.get(p.format, 0),
    }
    files = (
        *linear.weight_files(p.format),
        *(() if p.format in KEPT_PACKED else ("lib/raw_group.wgsl",)),
        "lib/tile_half.wgsl" if p.format in HALVES_DIFFER else "lib/tile_group.wgsl",
        "lib/tile_centered.wgsl" if p.format in ZERO_POINTS else "lib/tile_offset.wgsl",
        *linear.tile_files(p),
        "lib/tile_halves.wgsl" if p.is_paired else "lib/tile_rows.wgsl",
        "gemm_int8.wgsl",
    )
    return kernel("gemm_int8", bindings(p), constants, files, (), p.format, p, generated(p))


def grid(p: Linear, tile: Tile | None = None) -> tuple[int, int, int]:
    tile = tile or default_tile(p)
    return (ceil_div(p.n, tile.cols), linear.num_tiles(p, tile.rows), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = kernel.problem
    rows = p.rows if p.experts else int(arrays["inputs"].view(np.uint32)[0])
    x = np.zeros((rows, p.x_stride), np.float32)
    x[:, : p.x_columns] = dequantized(arrays["xq"], arrays["xd"], rows, p.x_columns)
    if not p.is_paired:
        return linear.reference(kernel, arrays | {"x": x.reshape(-1).view(np.uint8)}, grid)
    y, columns = np.zeros(rows * p.y_stride, np.float32), p.columns * (p.experts.top_k if p.experts else 1)
    linear.reference(kernel, arrays | {"x": x.reshape(-1).view(np.uint8), "y": y.view(np.uint8)}, grid)
    write_quantized(y.reshape(rows, p.y_stride)[:, :columns], arrays["yq"], arrays["yd"])
