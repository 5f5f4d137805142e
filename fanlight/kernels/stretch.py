"""A table of side x side lines stretched over a picture's patches, its corners at the picture's: each patch has a mix of the
four lines that are nearest (bilinear)."""

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
    return kernel("stretch", bindings, constants, ("lib/row.wgsl", "stretch.wgsl"), problem=p)


def grid(p: Stretch, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.columns, WORKGROUP), rows, 1)


def stretched(table: Array, places: list[int], height: int, width: int) -> Array:
    """table [side, side, C] -> [T, C]. (NumPy)"""
    import numpy as np

    side = len(table)
    made = np.zeros((len(places), table.shape[2]))
    for row, place in enumerate(places):
        if place != NO_PATCH:
            y, x = (place >> 16) * (side - 1) / max(height - 1, 1), (place & 0xFFFF) * (side - 1) / max(width - 1, 1)
            top, left = int(y), int(x)
            lower, right = min(top + 1, side - 1), min(left + 1, side - 1)
            upper_line = table[top, left] * (1 - x + left) + table[top, right] * (x - left)
            lower_line = table[lower, left] * (1 - x + left) + table[lower, right] * (x - left)
            made[row] = upper_line * (1 - y + top) + lower_line * (y - top)
    return made


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Stretch = kernel.problem
    inputs, y = arrays["inputs"].view(np.uint32), arrays["y"].view(np.float32)
    table = arrays["table"].view(np.float32)[: p.side**2 * p.columns].reshape(p.side, p.side, p.columns)
    places = word_of_rows(inputs, p.rows_at, 0)
    for row, line in enumerate(stretched(table, places, int(inputs[GRID_HEIGHT]), int(inputs[GRID_WIDTH]))):
        y[row * p.y_stride :][: p.columns] = line
