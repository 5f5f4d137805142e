"""What a vision tower made of a picture, kept in the buffer `images` from the row on that the step's record names, for the rows
of later steps (put_images.py): in reading order, whatever that of the step's rows is (inputs.image_words)."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import GRID_WIDTH, IMAGE_ROWS, IMAGES_AT, word_of_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(columns: int, x_stride: int, x_offset: int, rows_at: int, merge: int = 0) -> Kernel:
    """x [rows, C] -> images [R, C]. The stride and the offset count f32 elements. merge: of the step's rows, merge x merge are
    one of x; 0: those of x are in reading order."""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "images": "+array<f32>"}
    constants = {
        "COLUMNS": columns,
        "X_STRIDE": x_stride,
        "X_OFFSET": x_offset,
        "IMAGES_AT": IMAGES_AT,
        "IMAGE_ROWS": IMAGE_ROWS,
        "GRID_WIDTH": GRID_WIDTH,
        "ROWS_AT": rows_at,
        "MERGE": merge,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("keep_images", bindings, constants, ("lib/row.wgsl", "keep_images.wgsl"))


def grid(columns: int, rows: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    names = ("COLUMNS", "X_STRIDE", "X_OFFSET", "MERGE", "ROWS_AT")
    columns, stride, offset, merge, rows_at = (kernel.constant(name) for name in names)
    inputs, x, images = arrays["inputs"].view(np.uint32), arrays["x"].view(np.float32), arrays["images"].view(np.float32)
    for row in range(min(grid[1], int(inputs[IMAGE_ROWS]))):
        own = row
        if merge:
            place = word_of_rows(inputs, rows_at, 0)[row * merge**2]
            own = (place >> 16) // merge * (int(inputs[GRID_WIDTH]) // merge) + (place & 0xFFFF) // merge
        at = (int(inputs[IMAGES_AT]) + own) * columns
        images[at : at + columns] = x[row * stride + offset :][:columns]
