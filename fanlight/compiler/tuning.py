"""How kernels are cut for an adapter: start points by vendor, and what was measured on this very one (runtime/autotune.py).

Start points: what is known of each vendor's GPUs (subgroup widths, integer products, workgroups that suit them); NVIDIA's were
measured (docs/log.md), the others wait for their machines."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType, ModuleType
from typing import Any

from fanlight.compiler.program import Limits
from fanlight.compiler.verify import fits
from fanlight.kernels import gemm_f16, gemm_int8, gemv_int8
from fanlight.kernels.gemm_int8 import Tile
from fanlight.kernels.gemv import MAX_COLUMNS, columns_of
from fanlight.kernels.gemv_int8 import Shape
from fanlight.kernels.linear import Linear

MOST_CANDIDATES = 6


@dataclass(frozen=True, slots=True)
class Start:
    """threads: of a product's workgroup, at most. tiles: of the GEMM, the first that fits is taken. is_measured: a first load
    has nothing left to find out (docs/log.md has the measurements)."""

    threads: int = 128
    tiles: tuple[Tile, ...] = gemm_int8.TILES
    is_measured: bool = False


UNKNOWN = Start()
STARTS = {
    "nvidia": Start(threads=256, is_measured=True),
    "amd": Start(threads=256),
    "apple": Start(tiles=(*gemm_f16.TILES, *gemm_int8.TILES)),  # Metal has no instruction for products of four i8
    "intel": UNKNOWN,
    "qualcomm": UNKNOWN,
    "arm": UNKNOWN,
}


def start_of(*descriptions: str) -> Start:
    """By what the adapter says of itself: vendor, architecture, device, description."""
    words = " ".join(descriptions).lower()
    return next((start for vendor, start in STARTS.items() if vendor in words), UNKNOWN)


@dataclass(frozen=True, slots=True)
class Tuning:
    """found: by product_key, the fields of a Shape or a Tile that was timed with these limits."""

    start: Start = UNKNOWN
    found: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def shape_of(self, p: Linear, limits: Limits) -> Shape:
        """Of a product of few rows. Of more than one it has the lanes that were found for one, since they decide in which order
        sums are made."""
        if p.rows == 1 and (found := self.found.get(product_key(p))):
            return Shape(*found)
        found = next((found for key, found in self.found.items() if p.rows > 1 and key.startswith(f"{_size(p)} ")), None)
        if found and _is_valid(p, shape := gemv_int8.beside(p, replace(Shape(*found), rows=2)), limits):
            return shape
        return gemv_int8.default_shape(p, self.start.threads, limits.max_compute_workgroup_storage_size)

    def tile_of(self, p: Linear, limits: Limits) -> Tile:
        """Of a product of many rows."""
        if p.rows > gemm_int8.FEW_ROWS and not p.experts and (found := self.found.get(product_key(p))):
            return Tile(*found)
        return _first_that_fits(p, gemm_int8.tiles_for(p, self.start.tiles), limits)


UNTUNED = Tuning()


def module_of(tile: Tile) -> ModuleType:
    return gemm_f16 if tile.is_f16 else gemm_int8


@lru_cache(maxsize=64)
def _first_that_fits(p: Linear, tiles: tuple[Tile, ...], limits: Limits) -> Tile:
    return next((tile for tile in tiles if fits(module_of(tile).make(p, tile), limits)), tiles[-1])


def product_key(p: Linear) -> str:
    """What one cut serves: a product of one row by its size and what is fused before it, any product of many by its format."""
    if p.rows > MAX_COLUMNS:
        return f"gemm_int8 {p.format}{' glu' if p.is_paired else ''}"
    x = "int8" if p.is_int8 else f"splits {p.splits}" if p.splits > 1 else "norm" if p.norm_eps is not None else "plain"
    ends = [word for word, is_so in (("glu", p.is_paired), ("rope", p.rope)) if is_so]
    return " ".join([_size(p), x, *ends])


def _size(p: Linear) -> str:
    experts = f" of {p.experts.count} experts, {p.experts.form}" if p.experts else ""
    return f"gemv_int8 {p.format} {p.n}x{p.k}{experts}"


def shape_candidates(p: Linear, start: Shape, limits: Limits) -> list[Shape]:
    """Shapes near `start`, which comes first; a product of two halves that leaves quantised must go on doing so."""
    changes = [
        {},
        {"lanes": start.lanes * 2},
        {"lanes": start.lanes // 2},
        {"rows": 6 - start.rows},
        {"workgroup": start.workgroup // 2 if start.workgroup > 64 else 128},
        {"subgroups": True} if start.lanes <= 32 else {"depth": 1},
        {"depth": start.depth * 2},
    ]
    made = dict.fromkeys(replace(start, **change) for change in changes)
    return [shape for shape in made if _is_valid(p, shape, limits)][:MOST_CANDIDATES]


def _is_valid(p: Linear, shape: Shape, limits: Limits) -> bool:
    if not max(columns_of(p) * shape.rows // 2, 1) <= shape.lanes <= min(p.groups, shape.workgroup):
        return False
    if p.gives_int8 and not gemv_int8.may_give_int8(p, shape):
        return False
    return gemv_int8.chunk(p, shape) > 0 and fits(gemv_int8.make(p, shape), limits)


def tile_candidates(p: Linear, start: Tile, limits: Limits) -> list[Tile]:
    others = (Tile(64, 128, 2, 16, 16), Tile(64, 128, 2, 16, 8), Tile(64, 64, 2, 8, 8))
    made = dict.fromkeys((start, gemm_f16.TILES[0], *gemm_int8.TILES, *others))
    return [tile for tile in made if fits(module_of(tile).make(p, tile), limits)][:MOST_CANDIDATES]
