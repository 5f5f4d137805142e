"""An elementwise tree (expressions.py) over values that no other kernel takes with it.  y = f(operands)"""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64
MOST_OPERANDS = 6  # with `inputs` and y as many storage buffers as every adapter has


@dataclass(frozen=True, slots=True)
class Map:
    """All inputs of the tree are operands. Rows of y have `columns` elements, y_stride apart."""

    fused: Fused
    columns: int
    y_stride: int

    def __post_init__(self) -> None:
        assert self.fused.values == 0 and len(fused.bindings(self.site)) <= MOST_OPERANDS, self.fused

    @property
    def site(self) -> Site:
        """Four elements a thread, if all are whole vec4."""
        four = site("epilogue", self.fused, self.columns, "columns")
        whole = self.columns % 4 == self.y_stride % 4 == 0 and all(map(four.is_vec4, range(len(self.fused.operands))))
        return four if whole else site("epilogue", self.fused, self.columns)


@lru_cache(maxsize=64)
def make(p: Map) -> Kernel:
    bindings = fused.bindings(p.site) | {"inputs": "array<u32>", "y": f"+array<{p.site.type}>"}
    constants = {"COLUMNS": p.columns, "Y_STRIDE": p.y_stride, "WIDTH": _width(p), "WORKGROUP": WORKGROUP}
    return kernel("map", bindings, constants, ("map.wgsl",), problem=p, generated=fused.wgsl(p.site))


def _width(p: Map) -> int:
    return 1 if p.site.lanes == "one" else 4


def grid(p: Map, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.columns, WORKGROUP * _width(p)), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Map = kernel.problem
    rows = min(int(arrays["inputs"].view(np.uint32)[0]), grid[1])
    out = arrays["y"].view(np.float32)
    for row, values in enumerate(fused.apply(p.site, arrays, [], np.arange(rows), np.arange(p.columns))):
        out[row * p.y_stride : row * p.y_stride + p.columns] = values
