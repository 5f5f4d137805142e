"""What a vision tower made of a picture, kept in the buffer `images` from the row on that the step's record names, for the rows
of later steps (put_images.py)."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import IMAGE_ROWS, IMAGES_AT
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(columns: int, x_stride: int, x_offset: int) -> Kernel:
    """x [rows, C] -> images [R, C]. The stride and the offset count f32 elements."""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "images": "+array<f32>"}
    constants = {
        "COLUMNS": columns,
        "X_STRIDE": x_stride,
        "X_OFFSET": x_offset,
        "IMAGES_AT": IMAGES_AT,
        "IMAGE_ROWS": IMAGE_ROWS,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("keep_images", bindings, constants, ("keep_images.wgsl",))


def grid(columns: int, rows: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, stride, offset = (kernel.constant(name) for name in ("COLUMNS", "X_STRIDE", "X_OFFSET"))
    inputs, x, images = arrays["inputs"].view(np.uint32), arrays["x"].view(np.float32), arrays["images"].view(np.float32)
    for row in range(min(grid[1], int(inputs[IMAGE_ROWS]))):
        at = (int(inputs[IMAGES_AT]) + row) * columns
        images[at : at + columns] = x[row * stride + offset :][:columns]
