"""Patches of a picture, one a row, as a vision tower's first product reads them.

`pixels` holds a picture row by row, three bytes a pixel: red, green and blue. A row's token says which patch it is, the record
how a byte is read (inputs.py); the values of a channel lie side by side, as those of a convolution's weight do."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.inputs import GRID_WIDTH, NO_PATCH, PIXEL_SCALE, PIXEL_SHIFT, read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Patches:
    patch: int  # pixels to a side
    y_stride: int
    rows_at: int

    @property
    def columns(self) -> int:
        return 3 * self.patch * self.patch


def make(p: Patches) -> Kernel:
    """pixels [height, width] -> y [rows, 3 * patch * patch]"""
    bindings = {"pixels": "array<u32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {
        "PATCH": p.patch,
        "COLUMNS": p.columns,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "GRID_WIDTH": GRID_WIDTH,
        "PIXEL_SCALE": PIXEL_SCALE,
        "PIXEL_SHIFT": PIXEL_SHIFT,
        "NO_PATCH": NO_PATCH,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("patches", bindings, constants, ("lib/row.wgsl", "patches.wgsl"), problem=p)


def grid(p: Patches, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Patches = kernel.problem
    inputs, y = arrays["inputs"].view(np.uint32), arrays["y"].view(np.float32)
    width, pixels = int(inputs[GRID_WIDTH]) * p.patch, arrays["pixels"].view(np.uint8)
    scale, shift = (inputs[at : at + 3].view(np.float32) for at in (PIXEL_SCALE, PIXEL_SHIFT))
    for row, (token, *_) in enumerate(read_rows(inputs, p.rows_at)):
        out = y[row * p.y_stride :][: p.columns]
        if token == NO_PATCH:
            out[:] = 0
            continue
        top, left = (token >> 16) * p.patch, (token & 0xFFFF) * p.patch
        at = (top + np.arange(p.patch))[:, None] * width + left + np.arange(p.patch)
        for c in range(3):
            values = pixels[3 * at + c] * scale[c] + shift[c]
            out[c * p.patch**2 : (c + 1) * p.patch**2] = values.reshape(-1)
