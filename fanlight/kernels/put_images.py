"""Rows of pictures in the place of a step's own: where a row is a picture's (ROW_IS_IMAGE), what a vision tower made of it
stands in the buffer `images`, at the row that its flags name (inputs.py). That may have parts side by side; any but the first
is added to the step's own."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import IMAGE_ROW_SHIFT, ROW_IS_IMAGE
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(columns: int, x_stride: int, x_offset: int, y_stride: int, rows_at: int, part: int = 0, parts: int = 1) -> Kernel:
    """x [rows, C], images [R, parts * C] -> y [rows, C]. Strides and the offset count f32 elements."""
    bindings = {"x": "array<f32>", "images": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {
        "COLUMNS": columns,
        "X_STRIDE": x_stride,
        "X_OFFSET": x_offset,
        "Y_STRIDE": y_stride,
        "ROWS_AT": rows_at,
        "ROW_IS_IMAGE": ROW_IS_IMAGE,
        "IMAGE_ROW_SHIFT": IMAGE_ROW_SHIFT,
        "IMAGES_STRIDE": parts * columns,
        "IMAGES_OFFSET": part * columns,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("put_images", bindings, constants, ("lib/row.wgsl", "put_images.wgsl"))


def grid(columns: int, rows: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    names = ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE", "ROWS_AT", "IMAGES_STRIDE", "IMAGES_OFFSET")
    columns, x_stride, x_offset, y_stride, rows_at, step, offset = (kernel.constant(name) for name in names)
    inputs = arrays["inputs"].view(np.uint32)
    x, images, y = (arrays[name].view(np.float32) for name in ("x", "images", "y"))
    for row in range(min(grid[1], int(inputs[0]))):
        flags = int(inputs[rows_at + 4 * row + 3])
        out = y[row * y_stride :][:columns]
        out[:] = x[row * x_stride + x_offset :][:columns]
        if flags & ROW_IS_IMAGE:
            kept = images[(flags >> IMAGE_ROW_SHIFT) * step + offset :][:columns]
            out[:] = out + kept if offset else kept
