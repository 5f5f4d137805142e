"""Sorts a step's parts (a part is a row and one of its experts) by their experts, in tiles for products of many rows.

order: u32 [parts], the parts in order of their experts, and within an expert's as they were; then for each tile its expert,
and its first and the end of its parts in that order. No tile has parts of two experts; those that are left over have none."""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 256


@lru_cache(maxsize=64)
def make(rows: int, experts: int, top_k: int, height: int) -> Kernel:
    """height: parts of a tile, at most."""
    constants = {
        "PARTS": rows * top_k,
        "TOP_K": top_k,
        "EXPERTS": experts,
        "HEIGHT": height,
        "TILES": num_tiles(rows * top_k, experts, height),
        "WORKGROUP": WORKGROUP,
    }
    bindings = {"route": "array<f32>", "inputs": "array<u32>", "order": "+array<u32>"}
    return kernel("order", bindings, constants, ("order.wgsl",))


def num_tiles(parts: int, experts: int, height: int) -> int:
    """At most: every expert's last one may be short."""
    return ceil_div(parts, height) + min(experts, parts)


def size(parts: int, experts: int, height: int) -> int:
    """Bytes of the result."""
    return 4 * (parts + 3 * num_tiles(parts, experts, height))


def grid() -> tuple[int, int, int]:
    return (1, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    parts, top_k, height, tiles = (kernel.constant(name) for name in ("PARTS", "TOP_K", "HEIGHT", "TILES"))
    count = min(int(arrays["inputs"].view(np.uint32)[0]) * top_k, parts)
    chosen = arrays["route"].view(np.float32)[: 2 * parts].reshape(-1, 2, top_k)[:, 0].reshape(-1)[:count].astype(int)
    out = arrays["order"].view(np.uint32)
    out[:count] = np.argsort(chosen, kind="stable")
    found, first = [], 0
    for expert, many in enumerate(np.bincount(chosen, minlength=kernel.constant("EXPERTS"))):
        starts = range(first, first + int(many), height)
        found += [(expert, start, min(start + height, first + int(many))) for start in starts]
        first += int(many)
    table = np.array(found + [(0, 0, 0)] * (tiles - len(found)), np.uint32)
    out[parts : parts + 3 * tiles] = table.reshape(-1)
