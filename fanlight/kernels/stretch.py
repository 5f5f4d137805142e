"""A table of side x side lines stretched over a picture's patches: each has a mix of the lines that are nearest (bilinear).

The table's corners lie at the picture's, and four lines are mixed; or its edges do (`is_smooth`), and where the table has more
lines than the picture has patches, each patch has a mean of those about it, by their distance, as in PyTorch's `interpolate`
with antialias."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.inputs import GRID_HEIGHT, GRID_WIDTH, NO_PATCH, word_of_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Stretch:
    side: int
    columns: int
    y_stride: int
    rows_at: int
    is_smooth: bool = False


def make(p: Stretch) -> Kernel:
    """table [side * side, columns] -> y [rows, columns]; zeros of what is no patch"""
    bindings = {"table": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {
        "SIDE": p.side,
        "COLUMNS": p.columns,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "GRID_WIDTH": GRID_WIDTH,
        "GRID_HEIGHT": GRID_HEIGHT,
        "NO_PATCH": NO_PATCH,
        "WORKGROUP": WORKGROUP,
    }
    mode = "stretch_edges.wgsl" if p.is_smooth else "stretch_corners.wgsl"
    return kernel("stretch", bindings, constants, ("lib/row.wgsl", f"lib/{mode}", "stretch.wgsl"), problem=p)


def grid(p: Stretch, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.columns, WORKGROUP), rows, 1)


def shares(side: int, count: int, is_smooth: bool) -> Array:
    """What each of `count` places along an axis has of each of the table's lines. [count, side] (NumPy)"""
    import numpy as np

    places = np.arange(count)
    if is_smooth:
        centres, reach = (places + 0.5) * side / count - 0.5, max(side / count, 1)
    else:
        centres, reach = places * (side - 1) / max(count - 1, 1), 1
    found = np.maximum(1 - np.abs(np.arange(side) - centres[:, None]) / reach, 0)
    return found / found.sum(axis=1, keepdims=True)


def stretched(table: Array, places: list[int], height: int, width: int, is_smooth: bool = False) -> Array:
    """table [side, side, C] -> [T, C]. (NumPy)"""
    import numpy as np

    side, made = len(table), np.zeros((len(places), table.shape[2]))
    down, across = (shares(side, count, is_smooth) for count in (height, width))
    whole = np.einsum("yi,xj,ijc->yxc", down, across, table, optimize=True)
    for row, place in enumerate(places):
        if place != NO_PATCH:
            made[row] = whole[place >> 16, place & 0xFFFF]
    return made


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Stretch = kernel.problem
    inputs, y = arrays["inputs"].view(np.uint32), arrays["y"].view(np.float32)
    table = arrays["table"].view(np.float32)[: p.side**2 * p.columns].reshape(p.side, p.side, p.columns)
    places = word_of_rows(inputs, p.rows_at, 0)
    found = stretched(table, places, int(inputs[GRID_HEIGHT]), int(inputs[GRID_WIDTH]), p.is_smooth)
    for row, line in enumerate(found):
        y[row * p.y_stride :][: p.columns] = line
