"""The columns of each row in another order: y[c] = x[order[c]].  For products whose weights' columns are so: GPTQ's that were
quantised in the order of activations."""

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(columns: int, x_stride: int, x_offset: int, y_stride: int) -> Kernel:
    bindings = {"x": "array<f32>", "order": "array<u32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"COLUMNS": columns, "X_STRIDE": x_stride, "X_OFFSET": x_offset, "Y_STRIDE": y_stride, "WORKGROUP": WORKGROUP}
    return kernel("reorder", bindings, constants, ("reorder.wgsl",))


def grid(rows: int, columns: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, x_stride, x_offset, y_stride = (kernel.constant(n) for n in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    order, x, y = arrays["order"].view(np.uint32)[:columns], arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    for row in range(min(grid[1], int(arrays["inputs"].view(np.uint32)[0]))):
        y[row * y_stride : row * y_stride + columns] = x[row * x_stride + x_offset + order]
